import path from 'node:path'

import { hubReference, parseReference } from '@x/model-loader'
import { exportModelToHubCache, findHubCache, importFromHubCache, type HubCache } from '@x/node'
import { NotFoundError } from '@x/storage-core'

import { textOption, textOptions, type Command, type Context, type Values } from '../../command.ts'
import { formatBytes, formatCount, printable } from '../../format.ts'
import { noOperands, onlyOperand } from '../../operands.ts'
import { UsageError } from '../../usage-error.ts'
import { localReference } from '../model/local-reference.ts'
import { nameAndVersion } from '../model/name-and-version.ts'

const CACHE_NOTES = [
  'The cache is where HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME say, unless one is named. What run has computed is another one:',
  'cache stats, cache clear, cache explain.',
].join('\n')

export const cacheLs: Command = {
  name: 'cache ls',
  operands: '',
  summary: 'list the models in the Hugging Face cache of this machine',
  options: { cache: { type: 'string', metavar: 'DIR', help: 'another cache: the directory with models--... in it' } },
  notes: CACHE_NOTES,
  async run(context, operands, values) {
    noOperands(operands)
    const { printer, signal } = context
    const cache = await cacheOf(context, values)
    for (const repo of await cache.repos({ signal })) {
      for (const { commit, refs } of await cache.revisions(repo, { signal })) {
        const { files, problems } = await cache.snapshot(repo, commit, { signal })
        const size = files.reduce((sum, file) => sum + file.size, 0)
        await printer.result(
          { repo, commit, refs, files: files.length, size, problems },
          `${printable(repo)}  ${commit}  ${formatCount(files.length, 'file')}  ${formatBytes(size)}  ${refs.map(printable).join(' ')}`.trimEnd(),
        )
      }
    }
  },
}

export const cacheImport: Command = {
  name: 'cache import',
  operands: 'ORG/NAME[@REVISION]',
  summary: 'take a model of the Hugging Face cache into the store where it lies, without copying it',
  options: {
    cache: { type: 'string', metavar: 'DIR', help: 'another cache: the directory with models--... in it' },
    name: {
      type: 'string',
      metavar: 'ORG/NAME[@V]',
      help: 'a name that shall point to it, or a version of one; registries have ORG/NAME alone',
    },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
  },
  notes: CACHE_NOTES,
  async run(context, operands, values) {
    const { printer, signal } = context
    const text = onlyOperand(operands, 'repository')
    const wanted = hubReference(parseReference(text))
    if (!wanted) throw new UsageError(`cache import: ORG/NAME[@REVISION] is wanted, not ${text}`)
    const cache = await cacheOf(context, values)
    const bar = printer.progress(text)
    const { cid, repo, commit, files, size, newer, problems } = await importFromHubCache(
      await context.storage(),
      cache,
      wanted,
      {
        ...nameAndVersion(textOption(values, 'name')),
        pin: !values['no-pin'],
        signal,
        onProgress: (event) => {
          if (event.type === 'bytes-added') bar.update({ bytes: event.loaded })
        },
      },
    )
    bar.clear()
    for (const { path: file, why } of problems) void printer.warning(`${file}: left out: ${why}`, { of: repo })
    if (newer !== undefined) {
      const revision = printable(wanted.revision ?? 'main')
      void printer.warning(`${revision} stays ${newer}, which was fetched later than the cache had it`, { of: repo })
    }
    await printer.result(
      { cid: cid.toString(), repo, commit, files, size, problems },
      `ipfs://${cid}  ${formatCount(files, 'file')}  ${formatBytes(size)}  ${printable(repo)}@${commit}`,
    )
  },
}

export const cacheExport: Command = {
  name: 'cache export',
  needsStore: true,
  operands: 'REF',
  summary: 'lay a model out in a Hugging Face cache, where Python and JavaScript programs find it offline',
  options: {
    to: { type: 'string', metavar: 'HF_HOME', help: 'the home of that cache, which has hub/ in it' },
    repo: {
      type: 'string',
      metavar: 'ORG/NAME',
      help: 'as which repository; default: where it was published, else its name',
    },
    ref: { type: 'string', multiple: true, metavar: 'R', help: 'a branch or tag that shall point to it; default main' },
  },
  notes: CACHE_NOTES,
  async run(context, operands, values) {
    const { io, printer, signal } = context
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const home = textOption(values, 'to')
    if (home !== undefined) await assertHome(home, context)
    const refs = textOptions(values, 'ref')
    const { repo, commit, snapshot, placed } = await exportModelToHubCache(await context.storage(), reference, {
      environment: home === undefined ? io.environment : { HF_HOME: home },
      repo: textOption(values, 'repo'),
      ...(refs.length > 0 && { refs }),
      signal,
    })
    const ways = Object.entries(placed).filter(([, count]) => count > 0)
    await printer.result(
      { reference, repo, commit, snapshot, placed },
      `${printable(repo)}@${commit}  ${printable(snapshot)}  ${ways.map(([way, count]) => `${way} ${count}`).join(', ')}`,
    )
  },
}

/** @throws {NotFoundError} There is none, or it was named and has no model, or it is the home of one. */
async function cacheOf({ io, signal }: Context, values: Values): Promise<HubCache> {
  const directory = textOption(values, 'cache')
  if (directory === '') throw new UsageError('--cache is empty')
  const { environment } = io
  const cache = await findHubCache({ environment, directory })
  if (!cache) {
    const message =
      directory === undefined ? 'there is no Hugging Face cache on this machine' : `no such cache: ${directory}`
    throw new NotFoundError(directory ?? 'the Hugging Face cache', { message })
  }
  if ((await cache.repos({ signal })).length > 0) return cache
  const below = path.join(cache.directory, 'hub')
  const isHome = (await findHubCache({ environment, directory: below })) !== undefined
  if (directory === undefined && !isHome) return cache
  const instead = isHome ? `, which is a home; the cache is ${below}` : ''
  throw new NotFoundError(cache.directory, { message: `no models--... in ${cache.directory}${instead}` })
}

/** @throws {UsageError} It is a cache, and a second one below it would be found by nobody. */
async function assertHome(home: string, { io, signal }: Context): Promise<void> {
  if (home === '') throw new UsageError('cache export: --to is empty')
  const cache = await findHubCache({ environment: io.environment, directory: home })
  if (!cache || (await cache.repos({ signal })).length === 0) return
  throw new UsageError(
    `cache export: --to ${home} is a cache; its home is wanted, the directory with that cache as hub/`,
  )
}
