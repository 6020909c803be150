export { type BundleLimits } from './bundle.ts'
export {
  assertForward,
  signDocument,
  verifyDocument,
  type DocumentEdition,
  type DocumentFormat,
  type DocumentName,
  type SignDocumentOptions,
  type SignedDocument,
  type VerifyDocumentOptions,
} from './document.ts'
export { generateKeyPair, readPublicKey, type Curve, type PrivateKeyOptions, type PublicKey } from './ec-key.ts'
export { type SignerIdentity } from './envelope.ts'
export { type ModelFile } from './model-files.ts'
export { isPickleName } from './pickle.ts'
export {
  assertAllowed,
  assessModel,
  type Assessment,
  type AssessmentReason,
  type AssessOptions,
  type ModelToAssess,
  type SigningPolicy,
} from './policy.ts'
export { createSbom, type SbomFacts, type SbomFile } from './sbom.ts'
export { signModel, type SignModelOptions } from './sign-model.ts'
export { createSigner, type Signer, type SignerOptions } from './signer.ts'
export { type CheckKeyless, type KeylessIdentity, type TrustedSigner, type TrustOptions } from './trust.ts'
export { verifyModel, type VerifiedModel, type VerifyModelOptions } from './verify-model.ts'
