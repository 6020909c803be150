import type { OpenedModel } from '@x/model-loader'
import { assertReference, fetchModel, openModel, signingSettings } from '@x/node'
import type { AbortOptions } from '@x/storage-core'

import type { Context, OptionSpec, Values } from './command.ts'
import { signingValues, TRUST } from './signing-options.ts'

/** Of commands that run a model. */
export const POLICY: Readonly<Record<string, OptionSpec>> = {
  trust: TRUST,
  unsigned: { type: 'string', metavar: 'P', help: 'allow (default), warn or refuse; with --trust default refuse' },
  pickle: {
    type: 'string',
    metavar: 'P',
    help: 'list (default), or refuse models with files that Python would unpickle',
  },
}

export const ABOUT_POLICY =
  'Without --trust, --unsigned and --pickle: IPFS_ACCELERATE_TRUSTED_KEYS, IPFS_ACCELERATE_UNSIGNED, IPFS_ACCELERATE_PICKLE.'

type OpenOptions = AbortOptions & { onProgress?: ((done: { bytes: number; blocks: number }) => void) | undefined }

/**
 * Opens a model to be run: every file of it verified, and held against the policy. With `--backend` it is fetched first. Closed
 * at the end.
 *
 * @throws {SignatureError | GatedError} The policy refuses it.
 */
export const openTrustedModel = (context: Context, reference: string, values: Values): Promise<OpenedModel> =>
  context.keep(openTrusted(context, reference, values))

/**
 * The same, not to be closed here.
 *
 * @param options - Default: those of the command, and a bar for its progress.
 */
export async function openTrusted(
  context: Context,
  reference: string,
  values: Values,
  options: OpenOptions = {},
): Promise<OpenedModel> {
  const { io, printer, storage } = context
  const { signal = context.signal } = options
  const policy = signingSettings(io.environment, signingValues(values))
  const onWarning = (message: string): void => void printer.warning(message)
  const local = await fetched(context, reference, options)
  return openModel(storage, local, { policy, onWarning, signal })
}

/** The reference itself, or the CID of what was fetched because of it. */
async function fetched(
  { named, backend: open, storage, printer, signal: ofCommand }: Context,
  reference: string,
  { signal = ofCommand, onProgress }: OpenOptions,
): Promise<string> {
  if (named) assertReference(named.kind, reference)
  const backend = await open()
  if (backend === undefined) return reference
  const bar = onProgress ? undefined : printer.progress(reference, { unit: 'block' })
  const cid = await fetchModel(await storage(), backend, reference, {
    signal,
    onProgress: ({ fetched: bytes, blocks }) => {
      onProgress?.({ bytes, blocks })
      bar?.update({ bytes, items: blocks })
    },
  })
  bar?.clear()
  return `ipfs://${cid}`
}
