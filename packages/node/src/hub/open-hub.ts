import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { sep } from 'node:path'

import { decideGates, mayReach, type Environment, type GateSettings } from '@x/gating'
import { cleanToken, createHubClient, hubSettings, type HubClient, type HubClientOptions } from '@x/hub-client'
import { BackendError, GatedError, type AbortOptions } from '@x/storage-core'

import { isAbsent } from '../absent.ts'

/** Where `hf://` points unless `HF_ENDPOINT` says otherwise: the scheme names this hub. */
const HUGGING_FACE = 'https://huggingface.co'

export interface OpenHubOptions extends AbortOptions {
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
  /** Longest time without progress. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** How often and how long what fails is tried again. Default: as `createHubClient`. */
  retry?: HubClientOptions['retry']
}

/**
 * A client of the Hugging Face hub, or of what `HF_ENDPOINT` names, with the token of `HF_TOKEN` or of its file. To name a
 * model of the hub is to ask for it, so it wins over what CI turns off by default; what a variable says stands, for references
 * come out of programs and files too. Nobody is asked yet.
 *
 * @throws {GatedError} A switch does not let it connect there.
 * @throws {InvalidInputError} `HF_ENDPOINT` is no address.
 * @throws {BackendError} The token's file is there, and cannot be read.
 */
export async function openHub({
  environment = process.env,
  gates: given = {},
  stallTimeoutMs,
  retry,
  signal,
}: OpenHubOptions = {}): Promise<HubClient> {
  const gates = decideGates({
    environment,
    options: given,
    config: { gates: { hub: 'prefer' }, file: 'asked for by name' },
  })
  const { hub, network } = gates.features
  const settings = hubSettings(environment, { homeDirectory: homedir(), separator: sep })
  if (settings.offline) {
    throw new GatedError('the hub may not be asked: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set', { feature: 'hub' })
  }
  const allow = (url: URL): boolean => mayReach(gates, 'hub', url.hostname)
  const endpoint = settings.endpoint ?? HUGGING_FACE
  if (URL.canParse(endpoint) && !allow(new URL(endpoint))) {
    const { reason } = network.reach === 'any' ? hub : network
    throw new GatedError(`hub may not connect to ${new URL(endpoint).hostname}. ${reason}`, { feature: 'hub' })
  }
  const token = settings.token ?? (await readToken(settings.tokenPath, signal))
  return createHubClient({ endpoint, token, stallTimeoutMs, retry, allowRedirect: allow, userAgent: 'ipfs-accelerate' })
}

async function readToken(path: string | undefined, signal: AbortSignal | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return cleanToken(await readFile(path, { encoding: 'utf8', signal }))
  } catch (cause) {
    signal?.throwIfAborted()
    if (isAbsent(cause)) return undefined
    throw new BackendError(`the hub's token cannot be read from ${path}`, { retryable: false, cause })
  }
}
