import { cidOf, parseCid, RAW } from '@x/cid'
import { exportCar, importCar } from '@x/storage-core'
import { expect, it } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo } from '../../../tooling/kubo/start-kubo.ts'
import { collect, concat, directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { OLDEST_KUBO } from '../src/index.ts'
import { corruptBlock } from './flatfs.ts'
import { memoryFolder } from './memory-folder.ts'
import { openStore, texts } from './support.ts'

// The other end of the range of versions: everything once.

it('does the same with the oldest Kubo', async (context) => {
  const node = await startKubo(kuboOrSkip(context, 'oldest'), { online: false, parent: await memoryFolder() })
  context.onTestFinished(() => node.stop())
  console.log(`the oldest Kubo: ${node.version}`)
  expect(node.version.split('.').slice(0, 2)).toEqual(OLDEST_KUBO.split('.').slice(0, 2))
  const [store, other] = [await openStore(node), await openStore(node)]
  const model = sampleBytes(1, 5_000_000)
  const tree = directoryOf({ 'model.bin': model, link: 'model.bin', empty: {}, sub: { 'a.txt': sampleBytes(2, 10) } })

  const { cid } = await store.add(tree, { name: 'org/model', metadata: { n: 1 } })
  expect(Buffer.compare(await concat(other.cat(cid, { path: 'model.bin' })), model)).toBe(0)
  expect(await concat(other.cat(cid, { path: 'model.bin', offset: 1_048_575, length: 2 }))).toEqual(
    model.slice(1_048_575, 1_048_577),
  )
  expect(await other.names.get('org/model')).toMatchObject({ cid, metadata: { n: 1 } })
  await expect(other.names.set('org/model', cid, { expected: null })).rejects.toMatchObject({ code: 'CONFLICT' })
  expect((await collect(other.ls(cid))).map(({ name }) => name)).toEqual(['empty', 'link', 'model.bin', 'sub'])
  expect(await other.has(cid)).toBe(true)
  expect(texts(await collect(other.pins()))).toContain(cid.toString())

  // Large blocks, absent ones, and damaged ones.
  const large = sampleBytes(3, 5 * 1024 * 1024)
  const block = await cidOf(RAW, large)
  await store.blocks.put(block, large)
  expect(Buffer.compare(await store.blocks.get(block), large)).toBe(0)
  await expect(store.blocks.get(await cidOf(RAW, model))).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
  await node.ipfs(['pin', 'add', `--name=${'ü'.repeat(120)}`, block.toString()])
  await corruptBlock(node, block)
  await expect(store.blocks.get(block)).rejects.toMatchObject({ code: 'INTEGRITY' })
  await store.blocks.put(block, large)
  expect(Buffer.compare(await store.blocks.get(block), large)).toBe(0)
  expect(await collect(store.daemonPins({ name: 'üü' }))).toMatchObject([{ cid: block, type: 'recursive' }])
  await node.ipfs(['pin', 'rm', block.toString()])

  // A CAR, through others' hands.
  const car = await concat(exportCar(store, cid))
  await store.remove(cid)
  expect(await other.has(cid)).toBe(false)
  expect(await other.names.get('org/model')).toBeUndefined()
  expect((await importCar(other, car, { name: 'back' })).roots).toEqual([cid])
  expect(await store.verify(cid)).toBeGreaterThan(model.length)

  const loose = await store.add(sampleBytes(4, 700_000), { pin: false })
  // No pin of the owner's is lost by it, nor is one of ours left.
  await node.ipfs(['pin', 'add', '--recursive=false', '--name=theirs', loose.cid.toString()])
  await store.add(sampleBytes(4, 700_000), { pin: false })
  expect(await collect(store.daemonPins({ type: 'direct' }))).toMatchObject([{ cid: loose.cid, name: 'theirs' }])
  expect(await collect(store.daemonPins({ name: 'being-put' }))).toEqual([])
  await node.ipfs(['pin', 'rm', loose.cid.toString()])
  const planned = await store.gc({ dryRun: true })
  expect(planned.roots).toEqual([loose.cid])
  expect(await store.gc()).toEqual(planned)
  expect(await store.has(cid)).toBe(true)

  await store.copyToMfs(cid, '/models/one')
  expect((await node.ipfs(['files', 'ls', '/models/one'])).stdout.toString()).toContain('model.bin')
  const second = await store.add(directoryOf({ 'other.bin': sampleBytes(6, 10) }), { pin: false })
  await store.copyToMfs(second.cid, '/models/one', { replace: true })
  expect((await node.ipfs(['files', 'ls', '/models'])).stdout.toString().trim()).toBe('one')
  expect((await node.ipfs(['files', 'ls', '/models/one'])).stdout.toString().trim()).toBe('other.bin')
  const name = await store.publish(cid)
  expect((await store.resolve(name)).cid).toEqual(cid)
  const named = await store.add(sampleBytes(5, 10), { pin: false })
  await store.pinAs(named.cid, { name: 'mine' })
  expect(await collect(store.daemonPins({ name: 'mine' }))).toMatchObject([{ name: 'mine', type: 'recursive' }])

  const added = (await node.ipfs(['add', '-Q', '--cid-version=1'], { input: model })).stdout.toString().trim()
  expect((await store.add(model, { profile: 'kubo-v1' })).cid).toEqual(parseCid(added))
  const caller = new AbortController()
  const stopped = store.add(model, { signal: caller.signal, onProgress: () => caller.abort(new Error('enough')) })
  await expect(stopped).rejects.toThrow('enough')
  expect(await store.status()).toMatchObject({ available: true })
})
