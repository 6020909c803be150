// Who made this model? Sign its files, verify them, and refuse what is not as it was signed.
import { createHash } from 'node:crypto'

import {
  assertAllowed,
  assessModel,
  createSigner,
  generateKeyPair,
  signModel,
  type SigningPolicy,
} from '@x/model-signing'

const file = (path: string, content: string): { path: string; sha256: Uint8Array } => ({
  path,
  sha256: createHash('sha256').update(content).digest(),
})

const files = [file('config.json', '{"model_type":"bert"}'), file('onnx/model.onnx', 'weights')]
const { privateKey, publicKey } = await generateKeyPair()
const bundle = await signModel(files, await createSigner(privateKey), { name: 'bert' })

const policy: SigningPolicy = {
  unsigned: 'refuse',
  pickle: 'refuse',
  trusted: [{ name: 'Acme', key: publicKey, repos: ['acme/*'] }],
}

async function tell(what: string, model: { bundles: Uint8Array[]; files: typeof files; repo: string }): Promise<void> {
  const assessment = await assessModel(policy, model)
  console.log(`${what}: ${assessment.verdict}`)
  try {
    assertAllowed(assessment) // before a session is created
    console.log(`  by ${assessment.signer?.name}`)
  } catch (error) {
    if (error instanceof Error) console.log(`  ${error.name}: ${error.message}`)
  }
}

const repo = 'acme/bert'
await tell('as it was signed', { bundles: [bundle], files, repo })
await tell('without a signature', { bundles: [], files, repo })
await tell('one file changed', { bundles: [bundle], files: [...files.slice(1), file('config.json', '{}')], repo })
await tell('one file more', { bundles: [bundle], files: [...files, file('weights.pt', '')], repo })
