import { createSigner, type Signer } from '../src/index.ts'
import { keys } from './python-tool.ts'

interface EditableBundle {
  mediaType: string
  verificationMaterial: {
    publicKey?: unknown
    certificate?: unknown
    x509CertificateChain?: { certificates: { rawBytes: string }[] }
    tlogEntries?: unknown[]
  }
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string; keyid: string }[] }
}

/** A bundle after `edit` had it. Nothing is signed again. */
export function editBundle(bundle: Uint8Array, edit: (json: EditableBundle) => void): Uint8Array {
  const json: EditableBundle = JSON.parse(new TextDecoder().decode(bundle))
  edit(json)
  return new TextEncoder().encode(JSON.stringify(json))
}

export const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))

export const payloadOf = (bundle: Uint8Array): string => {
  const { dsseEnvelope }: EditableBundle = JSON.parse(new TextDecoder().decode(bundle))
  return new TextDecoder().decode(Uint8Array.from(atob(dsseEnvelope.payload), (character) => character.charCodeAt(0)))
}

/** A bundle whose signature holds, over any payload: written out here, so that a signer who errs or lies can be tried. */
export async function signAnything(payload: string | Uint8Array, signer?: Signer): Promise<Uint8Array> {
  const by = signer ?? (await createSigner(keys['P-256'].private))
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload
  const payloadType = 'application/vnd.in-toto+json'
  const head = new TextEncoder().encode(`DSSEv1 ${payloadType.length} ${payloadType} ${bytes.length} `)
  const message = new Uint8Array([...head, ...bytes])
  const json: EditableBundle = {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: by.publicKey.hint }, tlogEntries: [] },
    dsseEnvelope: {
      payload: toBase64(bytes),
      payloadType,
      signatures: [{ sig: toBase64(await by.sign(message)), keyid: '' }],
    },
  }
  return new TextEncoder().encode(JSON.stringify(json))
}
