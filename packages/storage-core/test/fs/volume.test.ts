import { InvalidInputError } from '@x/cid'
import { buildSource, openMemoryStore, type ContentStore, type SourceNode } from '@x/storage-core'
import { openVolume, type Volume, type VolumeEntry } from '@x/storage-core/fs'
import * as fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

async function open(): Promise<ContentStore> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  return store
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const pathsOf = async (volume: Pick<Volume, 'list'>, path?: string): Promise<string[]> =>
  (await collect<VolumeEntry>(volume.list(path))).map((entry) => entry.path)

/** A tree as `add` takes it, of paths and texts; `undefined` is a directory. */
function sourceOf(tree: ReadonlyMap<string, string | undefined>): SourceNode {
  const make = (prefix: string): SourceNode => ({
    type: 'directory',
    entries: () => {
      const names = new Set(
        [...tree.keys()]
          .filter((path) => path.startsWith(prefix))
          .map((path) => path.slice(prefix.length).split('/')[0] ?? ''),
      )
      return [...names].map((name): readonly [string, SourceNode] => {
        const bytes = tree.get(prefix + name)
        return [name, bytes === undefined ? make(`${prefix}${name}/`) : { type: 'file', open: () => pieces(bytes) }]
      })
    },
  })
  return make('')
}

async function* pieces(content: string): AsyncGenerator<Uint8Array> {
  yield utf8(content)
}

describe('a volume', () => {
  it('gives back what was written, with metadata that no CID depends on', async () => {
    const store = await open()
    const volume = openVolume(store, 'work/tree')
    expect(await volume.version()).toBeUndefined()
    await volume.writeFile('a/b.txt', utf8('hello'), { metadata: { kind: 'note' }, message: 'first' })
    const entry = await volume.stat('a/b.txt')
    expect(entry).toMatchObject({ type: 'file', size: 5, metadata: { kind: 'note' } })
    expect(text(await volume.readFile('a/b.txt', { offset: 1, length: 3 }))).toBe('ell')
    const before = await volume.version()
    await volume.setMetadata('a/b.txt', { kind: 'other' })
    expect((await volume.version())?.root).toEqual(before?.root)
    expect(await volume.stat('a/b.txt')).toMatchObject({ cid: entry.cid, metadata: { kind: 'other' } })
    await volume.rename('a', 'c')
    expect((await volume.stat('c/b.txt')).metadata).toEqual({ kind: 'other' })
    expect(await pathsOf(volume)).toEqual(['c', 'c/b.txt'])
    await expect(volume.stat('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(volume.remove('c')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await volume.remove('c', { recursive: true })
    expect(await pathsOf(volume)).toEqual([])
  })

  it('reads older states, restores one, and keeps no more than it is told', async () => {
    const store = await open()
    const volume = openVolume(store, 'tree', { historyLimit: 2 })
    const first = await volume.writeFile('f', utf8('1'), { metadata: { n: 1 } })
    await volume.writeFile('f', utf8('2'))
    await volume.writeFile('f', utf8('3'))
    await store.gc()
    expect(text(await volume.at(first.root).readFile('f'))).toBe('1')
    expect((await volume.at(1).stat('f')).metadata).toEqual({ n: 1 })
    await volume.restore(first.root)
    expect(text(await volume.readFile('f'))).toBe('1')
    expect((await volume.stat('f')).metadata).toEqual({ n: 1 })
    expect((await collect(volume.history())).map(({ sequence }) => sequence)).toEqual([4, 3, 2])
    await expect(volume.at(1).stat('f')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('loses nothing when several write at once, and refuses a change of the very path', async () => {
    const store = await open()
    const volumes = [openVolume(store, 'tree'), openVolume(store, 'tree'), openVolume(store, 'tree')]
    await Promise.all(
      volumes.flatMap((volume, writer) =>
        Array.from({ length: 8 }, (_, index) => volume.writeFile(`d/${writer}-${index}`, utf8(`${writer} ${index}`))),
      ),
    )
    const [volume] = volumes
    if (!volume) throw new Error('there is no volume')
    expect(await pathsOf(volume, 'd')).toHaveLength(24)
    expect((await volume.version())?.sequence).toBe(24)
    const { cid } = await volume.stat('d/0-0')
    await volume.writeFile('d/0-0', utf8('changed'), { expected: cid })
    await expect(volume.writeFile('d/0-0', utf8('late'), { expected: cid })).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(volume.writeFile('d/0-1', utf8('late'), { expected: null })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    // What held the files while they were written is gone.
    expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(['tree'])
  })

  it('is whole after a collection that ran before the name moved', async () => {
    const store = await open()
    const set: ContentStore['names']['set'] = async (...given) => {
      await store.gc()
      return store.names.set(...given)
    }
    const volume = openVolume({ ...store, names: { ...store.names, set } }, 'tree')
    await volume.writeFile('a/b', utf8('first'))
    const { root } = await volume.writeFile('a/c', utf8('second'))
    await store.gc()
    expect(await pathsOf(volume)).toEqual(['a', 'a/b', 'a/c'])
    expect(text(await volume.readFile('a/b'))).toBe('first')
    expect(await store.has(root)).toBe(true)
  })

  it('changes nothing when a write fails or is stopped', async () => {
    const store = await open()
    const volume = openVolume(store, 'tree')
    const before = await volume.writeFile('f', utf8('kept'))
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield utf8('part')
      throw new Error('the source broke')
    }
    await expect(volume.writeFile('f', failing())).rejects.toThrow('the source broke')
    const reason = new Error('the caller gave up')
    await expect(volume.writeFile('f', utf8('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(volume.writeFile('f/below', utf8('x'))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(await volume.version()).toEqual(before)
    expect(text(await volume.readFile('f'))).toBe('kept')
  })

  it.each(['', '/a', '../a', 'a/../b', 'a//b', 'a/', './a', 'a\0b'])(
    'refuses the path %j before it stores anything',
    async (path) => {
      const store = await open()
      const volume = openVolume(store, 'tree')
      await expect(volume.writeFile(path, utf8('x'))).rejects.toBeInstanceOf(InvalidInputError)
      await expect(volume.rename('a', path)).rejects.toBeInstanceOf(InvalidInputError)
      expect(await collect(store.blocks.list())).toEqual([])
    },
  )

  it('refuses a name that points to something else', async () => {
    const store = await open()
    await store.add(utf8('no volume'), { name: 'tree' })
    await expect(openVolume(store, 'tree').writeFile('a', utf8('x'))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('has the root that `add` of the same tree gives, also where a directory gets shards and loses them', async () => {
    const volume = openVolume(await open(), 'tree', { historyLimit: 0 })
    const tree = new Map<string, string | undefined>([['large', undefined]])
    await volume.makeDirectory('large')
    // 100 such names are more than the 256 KiB up to which a directory is one block.
    const names = Array.from({ length: 100 }, (_, index) => `large/${String(index).padStart(3000, '0')}`)
    for (const name of names) {
      tree.set(name, 'same')
      const { root } = await volume.writeFile(name, utf8('same'))
      expect(root.toString()).toBe((await buildSource(sourceOf(tree))).cid.toString())
    }
    expect((await pathsOf(volume, 'large')).length).toBe(names.length)
    for (const name of names.slice(0, 30)) {
      tree.delete(name)
      const { root } = await volume.remove(name)
      expect(root.toString()).toBe((await buildSource(sourceOf(tree))).cid.toString())
    }
  })

  const path = fc.array(fc.constantFrom('a', 'b', 'ü'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
  const operation = fc.oneof(
    fc.record({ do: fc.constant('write' as const), path, content: fc.string({ maxLength: 8 }) }),
    fc.record({ do: fc.constant('mkdir' as const), path }),
    fc.record({ do: fc.constant('remove' as const), path }),
    fc.record({ do: fc.constant('rename' as const), path, to: path }),
  )

  it('agrees with a map of paths after any operations', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 12 }), async (operations) => {
        const store = await openMemoryStore()
        const volume = openVolume(store, 'tree')
        await volume.makeDirectory('a')
        const tree = new Map<string, string | undefined>([['a', undefined]])
        for (const step of operations) {
          const expected = apply(tree, step)
          const done = await run(volume, step).then(
            () => true,
            () => false,
          )
          expect(done).toBe(expected)
        }
        expect((await volume.version())?.root.toString()).toBe((await buildSource(sourceOf(tree))).cid.toString())
        expect((await pathsOf(volume)).toSorted()).toEqual([...tree.keys()].toSorted())
        await store.close()
      }),
      { numRuns: 60 },
    )
  })
})

type Step =
  | { do: 'write'; path: string; content: string }
  | { do: 'mkdir'; path: string }
  | { do: 'remove'; path: string }
  | { do: 'rename'; path: string; to: string }

function run(volume: Volume, step: Step): Promise<unknown> {
  if (step.do === 'write') return volume.writeFile(step.path, utf8(step.content))
  if (step.do === 'mkdir') return volume.makeDirectory(step.path)
  if (step.do === 'remove') return volume.remove(step.path, { recursive: true })
  return volume.rename(step.path, step.to)
}

const above = (path: string): string[] =>
  path
    .split('/')
    .slice(0, -1)
    .map((_, index, parts) => parts.slice(0, index + 1).join('/'))

/** Whether it can be done; does it to the map. */
function apply(tree: Map<string, string | undefined>, step: Step): boolean {
  const isDirectory = (path: string): boolean => tree.has(path) && tree.get(path) === undefined
  const canHold = (path: string): boolean => above(path).every((parent) => !tree.has(parent) || isDirectory(parent))
  const put = (path: string, content: string | undefined): void => {
    for (const parent of above(path)) tree.set(parent, undefined)
    tree.set(path, content)
  }
  const under = (path: string): [string, string | undefined][] =>
    [...tree].filter(([key]) => key === path || key.startsWith(`${path}/`))
  const { path } = step
  if (step.do === 'write' || step.do === 'mkdir') {
    if (!canHold(path)) return false
    if (step.do === 'mkdir' ? tree.has(path) && !isDirectory(path) : isDirectory(path)) return false
    put(path, step.do === 'write' ? step.content : undefined)
    return true
  }
  if (!tree.has(path)) return false
  if ('to' in step) {
    const { to } = step
    if (to.startsWith(`${path}/`)) return false
    if (to === path) return true
    const moved = under(path)
    if (isDirectory(to) || above(to).some((parent) => parent === path)) return false
    if (!above(to).every((parent) => !tree.has(parent) || isDirectory(parent))) return false
    for (const [key] of moved) tree.delete(key)
    for (const [key, content] of moved) put(to + key.slice(path.length), content)
    return true
  }
  for (const [key] of under(path)) tree.delete(key)
  return true
}
