"""The words of the reference that are not beside what they describe."""

from app.base.descriptions import Words
from app.web.record_words import RECORDS
from app.web.service_words import PATHS, SERVICE
from app.web.values import VALUES

DESCRIBED = Words({**RECORDS, **SERVICE}, PATHS, VALUES)
