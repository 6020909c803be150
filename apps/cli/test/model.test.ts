import { cp, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { cidOf, RAW } from '@x/cid'
import { fixtureMedia, flipStoredByte, writeFixtureModel, type FixtureName } from '@x/fixtures'
import { openStorage } from '@x/node'
import { describe, expect, it } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

async function setup(): Promise<{ store: string; folder: string }> {
  const folder = await temporaryDirectory()
  return { store: path.join(folder, 'store'), folder }
}

async function addFixture(name: FixtureName, place: { store: string; folder: string }): Promise<string> {
  const directory = path.join(place.folder, name)
  await writeFixtureModel(name, directory)
  const { lines } = await cli(['model', 'add', directory, '--name', `fix/${name}`, '--json', '--store', place.store])
  return String(lines[0]?.['cid'])
}

describe('model', () => {
  it('adds, lists and shows; its CID is what add gives for the directory', async () => {
    const place = await setup()
    const cid = await addFixture('tiny-bert', place)
    const { store } = place
    const plain = await cli(['add', path.join(place.folder, 'tiny-bert'), '--only-hash', '--json', '--store', store])
    expect(plain.lines[0]?.['cid']).toBe(cid)
    const wanted = { cid, name: 'fix/tiny-bert', files: expect.any(Number), size: plain.lines[0]?.['size'] }
    const facts = { architecture: 'BertModel', baseModels: [], tags: [], dtypes: ['fp32'] }
    expect((await cli(['model', 'ls', '--json', '--store', store])).lines).toEqual([{ ...wanted, ...facts }])
    for (const reference of [cid, `ipfs://${cid}`, 'fix/tiny-bert']) {
      expect((await cli(['model', 'show', reference, '--json', '--store', store])).lines).toMatchObject([
        { cid, files: expect.any(Number) },
      ])
    }
    // What the loader keeps beside a model is no root of the user's.
    expect((await cli(['ls', '--json', '--store', store])).lines.map((line) => line['cid'])).toEqual([cid])
  })

  it('follows links inside the directory, and refuses loops and escapes', async () => {
    const place = await setup()
    const directory = path.join(place.folder, 'linked')
    await writeFixtureModel('tiny-bert', directory)
    const config = path.join(directory, 'config.json')
    await cp(config, path.join(directory, 'real.json'))
    await rm(config)
    await symlink('real.json', config)
    expect(await cli(['model', 'add', directory, '--store', place.store])).toMatchObject({ code: 0 })
    for (const [name, target] of [
      ['loop', '.'],
      ['escape', '/etc/hostname'],
    ] as const) {
      const bad = path.join(place.folder, name)
      await cp(directory, bad, { recursive: true })
      await symlink(target, path.join(bad, name))
      const { code, stderr } = await cli(['model', 'add', bad, '--store', place.store])
      expect(code).toBe(2)
      expect(stderr).toContain(name)
    }
    expect((await cli(['model', 'ls', '--json', '--store', place.store])).lines).toHaveLength(1)
  })

  it('refuses what is no model, and stores nothing of it', async () => {
    const { store, folder } = await setup()
    const empty = path.join(folder, 'empty')
    await mkdir(empty)
    const noConfig = path.join(folder, 'no-config')
    await writeFixtureModel('tiny-bert', noConfig)
    await rm(path.join(noConfig, 'config.json'))
    const cut = path.join(folder, 'cut')
    await writeFixtureModel('tiny-bert', cut)
    const onnx = path.join(cut, 'onnx', 'model.onnx')
    await truncate(onnx, Math.floor((await readFile(onnx)).length / 2))
    for (const [directory, code, named] of [
      [empty, 2, 'empty'],
      [noConfig, 2, 'config.json'],
      [cut, 2, 'onnx/model.onnx'],
      [path.join(folder, 'nowhere'), 3, 'nowhere'],
      [path.join(noConfig, 'tokenizer.json'), 2, 'tokenizer.json'],
    ] as const) {
      const outcome = await cli(['model', 'add', directory, '--store', store])
      expect(outcome).toMatchObject({ code, stdout: '' })
      expect(outcome.stderr.trimEnd().split('\n')).toHaveLength(1)
      expect(outcome.stderr).toContain(named)
    }
    expect((await cli(['ls', '--json', '--store', store])).lines).toEqual([])
  })
})

describe('run', () => {
  it('runs by CID, prints input, output and receipt, and reads lines from standard input', async () => {
    const place = await setup()
    const cid = await addFixture('tiny-bert', place)
    const argv = ['run', 'feature-extraction', '--model', `ipfs://${cid}`, '--json', '--store', place.store]
    const { code, lines } = await cli([...argv, 'hello world', '-'], { stdin: 'this is a test\n\nhello world\n' })
    expect(code).toBe(0)
    expect(lines.map((line) => line['input'])).toEqual(['hello world', 'this is a test', 'hello world'])
    expect(lines[0]?.['receipt']).toMatchObject({
      task: 'feature-extraction',
      model: cid,
      executionProvider: 'cpu',
      input: expect.stringMatching(/^bafy/),
      output: expect.stringMatching(/^bafy/),
      runtime: { name: 'onnxruntime-node', version: expect.stringMatching(/^1\./) },
    })
    expect(lines.map((line) => line['from'])).toEqual(['computed', 'computed', 'memory'])
    expect(lines[2]).toEqual({ ...lines[0], from: 'memory' })
  })

  it('runs a model in a directory, and its receipt has the CID that adding it gives', async () => {
    const place = await setup()
    const cid = await addFixture('tiny-sentiment', place)
    const directory = path.join(place.folder, 'tiny-sentiment')
    const { code, lines } = await cli([
      'run',
      'text-classification',
      '--model',
      directory,
      'good',
      '--json',
      '--store',
      place.store,
    ])
    expect(code).toBe(0)
    expect(lines[0]?.['receipt']).toMatchObject({ model: cid })
  })

  it('takes images, sounds and options', async () => {
    const place = await setup()
    const media = fixtureMedia()
    for (const [name, bytes] of Object.entries(media)) await writeFile(path.join(place.folder, name), bytes)
    const green = path.join(place.folder, 'green.png')
    await addFixture('tiny-vit', place)
    await addFixture('tiny-ctc', place)
    await addFixture('tiny-clip', place)
    const json = ['--json', '--store', place.store]
    const image = await cli(['run', 'image-classification', '--model', 'fix/tiny-vit', green, ...json])
    expect(image.lines[0]?.['output']).toMatchObject([{ label: 'green' }, {}, {}])
    const speech = await cli([
      'run',
      'automatic-speech-recognition',
      '--model',
      'fix/tiny-ctc',
      path.join(place.folder, 'abca.wav'),
      ...json,
    ])
    expect(speech.lines[0]?.['output']).toMatchObject({ text: 'abca' })
    const labels = ['--option', 'candidate_labels=red,green,blue']
    const zero = await cli([
      'run',
      'zero-shot-image-classification',
      '--model',
      'fix/tiny-clip',
      green,
      ...labels,
      ...json,
    ])
    expect(zero.lines[0]?.['output']).toMatchObject([{ label: 'green' }, {}, {}])
    const missing = await cli(['run', 'zero-shot-image-classification', '--model', 'fix/tiny-clip', green, ...json])
    expect(missing).toMatchObject({ code: 2, error: { message: expect.stringContaining('candidate_labels') } })
    const none = await cli(['run', 'image-classification', '--model', 'fix/tiny-vit', `${green}x`, ...json])
    expect(none).toMatchObject({ code: 3, error: { message: expect.stringContaining(`${green}x`) } })
  })

  it('takes inputs of several parts as JSON, and a task by its other name', async () => {
    const place = await setup()
    await writeFile(path.join(place.folder, 'green.png'), fixtureMedia()['green.png'])
    for (const name of ['tiny-reranker', 'tiny-ner', 'tiny-llava', 'tiny-vits'] as const) await addFixture(name, place)
    const run = (task: string, model: string, input: string): ReturnType<typeof cli> =>
      cli(['run', task, '--model', `fix/${model}`, input, '--json', '--store', place.store])
    const query = { query: 'where lives the cat', documents: ['a dog barks', 'the cat lives in a house'] }
    const ranked = await run('rerank', 'tiny-reranker', JSON.stringify(query))
    expect(ranked.lines[0]?.['output']).toMatchObject([{ index: 1, document: query.documents[1] }, { index: 0 }])
    const named = await run('ner', 'tiny-ner', 'alice')
    expect(named.lines[0]).toMatchObject({ output: [{ entity: 'B-PER' }], receipt: { task: 'token-classification' } })
    const image = path.join(place.folder, 'green.png')
    const prompt = { text: 'user <image> what colour is this? assistant', image }
    const seen = await run('image-text-to-text', 'tiny-llava', JSON.stringify(prompt))
    expect(seen.lines[0]?.['output']).toEqual({ generated_text: 'green' })
    // A text that only begins like one.
    expect((await run('text-to-speech', 'tiny-vits', '{do')).lines[0]?.['output']).toMatchObject({
      sampling_rate: 16_000,
    })
    const bare = await run('rerank', 'tiny-reranker', 'where lives the cat')
    expect(bare).toMatchObject({ code: 2, error: { message: expect.stringContaining('"documents"') } })
    const half = await run('rerank', 'tiny-reranker', '{"query": "where"}')
    expect(half).toMatchObject({ code: 2, error: { message: expect.stringContaining('not { query }') } })
  })

  it('exits 4 and names the file after one byte of the stored model was flipped, every time', async () => {
    const place = await setup()
    const cid = await addFixture('tiny-bert', place)
    const view = path.join(place.folder, 'view')
    await cli(['get', cid, '-o', view, '--store', place.store])
    const wanted = await readFile(path.join(view, 'onnx', 'model.onnx'))
    await flipStoredByte(place.store, wanted)
    for (let attempt = 0; attempt < 2; attempt++) {
      const outcome = await cli([
        'run',
        'feature-extraction',
        '--model',
        cid,
        'hello',
        '--json',
        '--store',
        place.store,
      ])
      expect(outcome).toMatchObject({ code: 4, stdout: '', error: { code: 'INTEGRITY' } })
      expect(String(outcome.error?.['file'])).toContain('onnx/model.onnx')
    }
    // Adding it again heals the store.
    await cli(['model', 'add', path.join(place.folder, 'tiny-bert'), '--store', place.store])
    expect(await cli(['run', 'feature-extraction', '--model', cid, 'hello', '--store', place.store])).toMatchObject({
      code: 0,
    })
  })

  it('exits 3 and names the file when one is gone from the store', async () => {
    const place = await setup()
    const cid = await addFixture('tiny-bert', place)
    const wanted = await readFile(path.join(place.folder, 'tiny-bert', 'tokenizer.json'))
    const store = await openStorage({ directory: place.store })
    await store.blocks.delete(await cidOf(RAW, wanted))
    await store.close()
    const outcome = await cli(['run', 'feature-extraction', '--model', cid, 'hello', '--json', '--store', place.store])
    expect(outcome).toMatchObject({ code: 3, stdout: '', error: { code: 'NOT_FOUND' } })
    expect(String(outcome.error?.['message'])).toContain('tokenizer.json')
  })
})
