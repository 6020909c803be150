import type { Environment } from '@x/gating'
import { createSigner, type Signer } from '@x/model-signing'
import { InvalidInputError, isStorageError } from '@x/storage-core'

import { textOption, type OptionSpec, type Values } from './command.ts'
import { readText } from './read-file.ts'
import { UsageError } from './usage-error.ts'

/** Not on the command line, where every user of the machine sees it. */
export const PASSWORD_VARIABLE = 'IPFS_ACCELERATE_KEY_PASSWORD'

/** Of commands that sign. */
export const SIGNER: Readonly<Record<string, OptionSpec>> = {
  key: { type: 'string', metavar: 'FILE', help: 'private key in PEM: ECDSA on P-256, P-384 or P-521' },
  certificate: { type: 'string', metavar: 'FILE', help: 'certificates in PEM: that of the key, then those above it' },
}

/** The files that `signerOption` reads. */
export const signerFiles = (values: Values): (readonly [option: string, file: string | undefined])[] => [
  ['--key', textOption(values, 'key')],
  ['--certificate', textOption(values, 'certificate')],
]

/**
 * Who signs, by `--key` and `--certificate`.
 *
 * @throws {UsageError} There is no `--key`.
 * @throws {InvalidInputError} A file that is not there, or that nobody can sign with; it is named.
 */
export async function signerOption(command: string, values: Values, environment: Environment): Promise<Signer> {
  const key = textOption(values, 'key')
  if (key === undefined || key === '') throw new UsageError(`${command}: --key FILE is wanted`)
  const certificate = textOption(values, 'certificate')
  const pem = await readText('--key', key)
  const certificates = certificate === undefined ? undefined : await readText('--certificate', certificate)
  try {
    return await createSigner(pem, { password: environment[PASSWORD_VARIABLE], certificates })
  } catch (cause) {
    // A kind of key that cannot sign here is a wrong file like any other.
    if (!isStorageError(cause) || (cause.code !== 'INVALID_INPUT' && cause.code !== 'UNSUPPORTED')) throw cause
    const isCertificate = 'input' in cause && cause.input === 'certificate'
    const [option, file] = isCertificate ? ['--certificate', certificate ?? ''] : ['--key', key]
    throw new InvalidInputError(`${option}: ${file}: ${cause.message}`, { input: file, cause })
  }
}
