import {readFileSync} from 'node:fs';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {createVerifyCryptosuite} from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import jsigs from 'jsonld-signatures';
const document = JSON.parse(readFileSync(0));
const method = document.proof.verificationMethod;
const controller = method.split('#')[0];
const key = {'@context': 'https://w3id.org/security/multikey/v1', id: method, type: 'Multikey', controller, publicKeyMultibase: method.split('#')[1]};
const owner = {'@context': ['https://www.w3.org/ns/did/v1','https://w3id.org/security/multikey/v1'], id: controller, assertionMethod: [key], verificationMethod: [key]};
const documentLoader = async url => {
  if(url === method) return {contextUrl: null, documentUrl: url, document: key};
  if(url === controller) return {contextUrl: null, documentUrl: url, document: owner};
  throw new Error(`${url} would be fetched`);
};
const suite = new DataIntegrityProof({cryptosuite: createVerifyCryptosuite()});
const result = await jsigs.verify(document, {suite, purpose: new jsigs.purposes.AssertionProofPurpose(), documentLoader});
console.log(JSON.stringify({verified: result.verified, error: String(result.error?.errors?.[0] ?? result.error ?? '')}));
