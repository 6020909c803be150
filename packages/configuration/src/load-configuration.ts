import path from 'node:path'

import type { ConfiguredGates, Environment } from '@x/gating'
import { InvalidInputError } from '@x/storage-core'

import { createEndpoint, type ConfiguredEndpoint } from './endpoints-of.ts'
import { gatesOf, type GatesOfOptions } from './gates-of.ts'
import { parseConfiguration, type Parsed } from './parse-configuration.ts'
import { identityOf, namedInEnvironment, projectFile, userFile } from './places.ts'
import { readText, whyUnread } from './read-text.ts'
import { toStorage, type ConfiguredStorage } from './storage-of.ts'

export interface LoadConfigurationOptions {
  /** The one file to read, and all of it counts. Default: `IPFS_ACCELERATE_CONFIG`, else the project's file and the user's own. */
  file?: string | undefined
  /** Where the project is looked for, upwards, and what `file` is relative to. Default: the working directory. */
  directory?: string | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Default `process.platform`. */
  platform?: NodeJS.Platform | undefined
  /** Hears what of a project's file is not obeyed, and that anybody may write a file. */
  onWarning?: ((message: string) => void) | undefined
}

export interface Configuration {
  /** Those that were read: the user's own, or the one that was named, before the project's. */
  readonly files: readonly string[]
  /** For `withConfiguredGates` or `decideGates`, with the line of each. */
  readonly gates: ConfiguredGates | undefined
  /** When endpoints are asked: when this machine could not, or before it. */
  readonly useEndpoints: 'fallback' | 'prefer' | undefined
  /** Without their tokens, which `endpointsOf` gets. */
  readonly endpoints: readonly ConfiguredEndpoint[]
  /** Where things are stored, as `storageOf` has it. */
  readonly storage: ConfiguredStorage
}

/**
 * What the configuration files say, checked.
 *
 * A project's file may be a stranger's, who cloned a repository: of it is obeyed only what takes away, a gate that it closes. The user's own,
 * and one that was named, are obeyed in all.
 *
 * @throws {InvalidInputError} One cannot be read, or says what it cannot: `file:line: key: what`. No secret is in the message.
 */
export async function loadConfiguration(options: LoadConfigurationOptions = {}): Promise<Configuration> {
  const { environment = process.env, platform = process.platform, directory = process.cwd(), onWarning } = options
  const named = options.file ?? namedInEnvironment(environment)
  const deciding = { environment, onWarning }
  if (named !== undefined)
    return toConfiguration(await read(path.resolve(directory, named), onWarning), undefined, deciding)
  const own = userFile(environment, platform)
  const project = await projectFile(path.resolve(directory))
  const [ownIdentity, projectIdentity] = [await identityOf(own), project && (await identityOf(project))]
  const trusted = ownIdentity === undefined ? undefined : await read(own, onWarning)
  const isOwn = projectIdentity === ownIdentity
  const foreign = project === undefined || isOwn ? undefined : await read(project, undefined)
  if (foreign) tellUnused(foreign, onWarning)
  return toConfiguration(trusted, foreign, deciding)
}

async function read(file: string, onWarning: LoadConfigurationOptions['onWarning']): Promise<Parsed> {
  const { text, shared } = await readText(file).catch((cause: unknown) => {
    throw new InvalidInputError(`${file}: the configuration cannot be read: ${whyUnread(cause)}`, {
      input: file,
      cause,
    })
  })
  if (shared.writable) onWarning?.(`${file} can be written by anybody of this machine; chmod o-w ends that`)
  return parseConfiguration(text, file)
}

function tellUnused({ file, said }: Parsed, onWarning: LoadConfigurationOptions['onWarning']): void {
  const tables = ['endpoints', 'server', 'storage', 'backends'] as const
  const unused = tables.filter((table) => said[table] !== undefined).map((table) => `[${table}]`)
  if (unused.length === 0) return
  onWarning?.(`${file}: ${unused.join(' and ')} not used, for a project's file may be anybody's; --config FILE uses it`)
}

function toConfiguration(
  trusted: Parsed | undefined,
  foreign: Parsed | undefined,
  deciding: GatesOfOptions,
): Configuration {
  return {
    files: [trusted, foreign].flatMap((each) => (each ? [each.file] : [])),
    gates: gatesOf(trusted, foreign, deciding),
    useEndpoints: trusted?.said.server?.['use-endpoints'],
    storage: toStorage(trusted),
    endpoints: trusted
      ? Object.entries(trusted.said.endpoints ?? {}).map(([name, said]) => createEndpoint(name, said, trusted))
      : [],
  }
}
