"""What the words of fact-checkers' ratings mean here: one table, which invents no verdict. A wording that it
does not have means none, and neither does one that says the claim is still being checked.
"""

import re
import unicodedata
from collections.abc import Mapping

from app.base.texts import normalised
from app.claims.model import Attribution, Verdict

_VERDICTS: Mapping[Verdict, str] = {
    "true": """
        true; correct; accurate; verified; confirmed; right; yes; geppetto checkmark; the geppetto checkmark;
        fact; factual; largely accurate and true; totally true; completely true;
        vrai; c est vrai; exact; verdadero; cierto; correcto; verdad; verdadeiro; vero; wahr; richtig;
        stimmt; waar; juist; prawda; правда; верно; dogru; صحيح; sant; tosi
        """,
    "mostly_true": """
        mostly true; mostly correct; mostly accurate; mainly true; largely true; largely correct;
        largely accurate; almost true; nearly true; close to the mark; one pinocchio;
        plutot vrai; presque vrai; mayormente verdadero; verdadero pero; cierto pero; verdadeiro mas;
        quasi vero; abbastanza vero; groesstenteils richtig; grossteils richtig; ueberwiegend richtig;
        grotendeels waar; skoro prawda; maioritariamente verdadeiro
        """,
    "half_true": """
        half true; half right; partly true; partially true; partly false; partially false; partly correct;
        partially correct; mixture; mixed; part true; half truth; in between; two pinocchios;
        partiellement vrai; partiellement faux; en partie vrai; en partie faux; a moitie vrai;
        verdad a medias; media verdad; parcialmente verdadero; parcialmente falso; parcialmente verdadeiro;
        parzialmente vero; parzialmente falso; vero a meta; ni cosi ni cosa; teilweise richtig;
        teilweise falsch; teils richtig; teils falsch; deels waar; deels onwaar; czesciowa prawda;
        czesciowy falsz; полуправда; отчасти верно; частично верно; kismen dogru; kismen yanlis
        """,
    "mostly_false": """
        mostly false; mostly incorrect; mostly inaccurate; mainly false; largely false; largely incorrect;
        almost false; barely true; three pinocchios;
        plutot faux; presque faux; mayormente falso; falso pero; majoritairement faux; quasi falso;
        groesstenteils falsch; grossteils falsch; ueberwiegend falsch; grotendeels onwaar;
        maioritariamente falso
        """,
    "false": """
        false; incorrect; inaccurate; wrong; not true; untrue; fake; fabricated; hoax; bogus; debunked;
        pants on fire; four pinocchios; bottomless pinocchio; no; totally false; completely false; fiction;
        fake news; false news; lie; scam; doctored; manipulated; digitally altered; altered photo;
        altered video; manipulated media; ai generated; deepfake; myth; baseless and false;
        faux; c est faux; infox; intox; faux et archi faux; falso; falsa; incorrecto; bulo; mentira; montaje;
        errado; incorreto; montagem; bufala; pinocchio andante; panzana pazzesca; falsch; gefaelscht;
        frei erfunden; erfunden; onwaar; onjuist; niet waar; falsz; nieprawda; fake news e mentira;
        ложь; неправда; неверно; фейк; неправдиво; yanlis; خاطئ; زائف; مفبرك; falskt; falsk; vaara
        """,
    "misleading": """
        misleading; missing context; lacks context; needs context; out of context; taken out of context;
        distorts the facts; exaggerated; exaggerates; spin; cherry picks; cherry picking; cherry picked;
        miscaptioned; false context; half truth and misleading; deceptive; overstated; selective;
        trompeur; hors contexte; sorti de son contexte; contexte manquant; manque de contexte;
        exagere;
        enganoso; enganosa; enganador; fuera de contexto; fora de contexto; descontextualizado; exagerado;
        sin contexto; falta contexto; fuorviante; fuori contesto; irrefuehrend; irreführend;
        aus dem kontext gerissen; fehlender kontext; kontext fehlt; misleidend; manipulacja;
        вырвано из контекста; вводит в заблуждение; без контекста; yaniltici; مضلل; vilseledande;
        harhaanjohtava
        """,
    "unsupported": """
        unsupported; unproven; no evidence; unsubstantiated; unfounded; baseless; not proven; lacks evidence;
        unverified; inconclusive; unconfirmed; insufficient evidence;
        sans preuve; non prouve; infonde; sin pruebas; sin evidencia; no hay pruebas; sem provas;
        insustentavel; sem evidencias; non provato; senza prove; unbelegt; nicht belegt; unbewiesen;
        onbewezen; ongegrond; brak dowodow; не доказано; нет доказательств; без доказательств; غير مؤكد
        """,
    "outdated": """
        outdated; old; out of date; old news; old photo; old video; obsolete; no longer true;
        perime; desactualizado; antiguo; datato; veraltet; verouderd; устарело
        """,
    "disputed": """
        disputed; in dispute; contested; conflicting evidence; the evidence conflicts;
        conteste; contestado; disputado; umstritten; omstreden; sporne
        """,
    "satire": """
        satire; labeled satire; originated as satire; parody; humor; humour; satirical; joke;
        parodie; satira; parodia; humor negro; сатира; hiciv
        """,
    "not_checkable": """
        not checkable; uncheckable; unverifiable; cannot be verified; can t be verified; undetermined;
        unknown; opinion; unrateable; not rated; no verdict; unrated;
        inverifiable; non verifiable; inverificable; nao verificavel; impossivel provar;
        non verificabile; nicht ueberpruefbar; nicht pruefbar; nieweryfikowalne; непроверяемо
        """,
}
_ATTRIBUTIONS: Mapping[Attribution, str] = {
    "unconfirmed": "unconfirmed quote",
    "confirmed": "said as quoted; correct attribution; genuine quote",
    "misquoted": "misquoted; misquote; altered quote",
    "misattributed": """
        misattributed; misattribution; wrongly attributed; false attribution; incorrect attribution;
        incorrectly attributed; did not say it; never said it;
        fausse citation; mal attribue; mal atribuido; atribucion falsa; attribuzione errata;
        falsch zugeschrieben; falsches zitat; falschzitat
        """,
    "fabricated": "fabricated quote; fake quote; invented quote; made up quote",
    "out_of_context": "quoted out of context; quote out of context; quote taken out of context",
}
_IN_PROGRESS = """
    research in progress; in progress; being checked; still being checked; under review; under investigation;
    developing; developing story; pending; verificacion en curso; verification en cours; in pruefung;
    in ueberpruefung; in verifica; em verificacao
    """


def spelled(label: str) -> str:
    """A wording as it stands in the table: in lower case, without accents, punctuation and emphasis."""
    plain = normalised("NFKD", label.casefold())
    return " ".join(re.findall(r"\w+", "".join(each for each in plain if not unicodedata.combining(each))))


VERDICTS: Mapping[str, Verdict] = {
    spelled(label): verdict for verdict, labels in _VERDICTS.items() for label in labels.split(";")
}
ATTRIBUTIONS: Mapping[str, Attribution] = {
    spelled(label): said for said, labels in _ATTRIBUTIONS.items() for label in labels.split(";")
}


IN_PROGRESS = frozenset(map(spelled, _IN_PROGRESS.split(";")))
"""Wordings that say a claim is still being checked."""


def is_in_progress(label: str) -> bool:
    """Return whether a desk's wording says that it is still checking the claim, which has no verdict then."""
    return spelled(label) in IN_PROGRESS


def verdict_of(label: str) -> Verdict | None:
    """The verdict that a desk's wording stands for, as a whole; None if the table does not have it: the first
    word of `True, but not of gas` is not what it says.
    """
    return VERDICTS.get(spelled(label))


def attribution_of(label: str) -> Attribution | None:
    """The same of a rating of whether they said it."""
    return ATTRIBUTIONS.get(spelled(label))
