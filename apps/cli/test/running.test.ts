import { stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'

import { expect, it, onTestFinished } from 'vitest'

import { cli, type Outcome } from './harness.ts'
import { setup } from './results-support.ts'

/** Runs `serve --model` until the test ends. Resolves to its address when it has said that. */
async function serve(cid: string, store: string): Promise<{ url: string; stop: () => Promise<Outcome> }> {
  const interrupt = new AbortController()
  const said = Promise.withResolvers<string>()
  const ended = cli(['serve', '--model', `ipfs://${cid}`, '--json', '--store', store], {
    signal: interrupt.signal,
    onStdout: (text) => said.resolve(String(Object.entries(JSON.parse(text)).find(([key]) => key === 'url')?.[1])),
  })
  void ended.then(({ stderr }) => said.reject(new Error(stderr)))
  const stop = async (): Promise<Outcome> => {
    interrupt.abort(new Error('interrupted'))
    return ended
  }
  onTestFinished(async () => void (await stop()))
  return { url: await said.promise, stop }
}

it('finds the server of a store, has it serve another model and serve it no more', async () => {
  const { store, run, add } = await setup()
  const [bert, moods] = [await add('tiny-bert'), await add('tiny-sentiment')]
  expect(await run(['ps'])).toMatchObject({ code: 0, lines: [] })
  expect(await run(['load', `ipfs://${moods}`])).toMatchObject({ code: 3, stderr: expect.stringMatching(/no server/) })
  const { url, stop } = await serve(bert, store)

  const file = path.join(store, 'servers', `${process.pid}.json`)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700)
  const own = { cid: bert, tasks: ['feature-extraction'], held: [{ state: 'loaded', executionProvider: null }] }
  const listed = await run(['ps'])
  expect(listed).toMatchObject({ code: 0, lines: [{ url, server: { pid: process.pid }, models: [own] }] })
  expect(listed.stdout).not.toContain('token')
  expect((await cli(['ps', '--store', store])).stdout).toMatch(
    new RegExp(`^${url} {2}pid ${process.pid}, .*\\n.*${bert}  feature-extraction  \\S+ \\S+ +0 asked\\n$`),
  )

  const loaded = await run(['load', `ipfs://${moods}`, '--name', 'moods'])
  expect(loaded).toMatchObject({ code: 0, lines: [{ name: 'moods', cid: moods, tasks: ['text-classification'] }] })
  expect((await run(['ps'])).lines).toMatchObject([{ models: [own, { name: 'moods' }] }])
  expect(await run(['load', `ipfs://${moods}`])).toMatchObject({ code: 2 })
  expect(await run(['unload', 'moods'])).toMatchObject({ code: 0, lines: [{ cid: moods }] })
  expect(await run(['unload', `ipfs://${moods}`])).toMatchObject({ code: 3 })
  expect(await run(['load', './nothing'])).toMatchObject({ code: 3 })

  const tokens = path.join(store, 'tokens')
  await writeFile(tokens, 'another-token-than-the-one wrong admin\n', { mode: 0o600 })
  expect(await run(['ps', '--url', url])).toMatchObject({ code: 2 })
  expect(await run(['ps', '--url', url, '--token-file', tokens])).toMatchObject({ code: 1 })
  expect(await stop()).toMatchObject({ code: 0 })
  await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await run(['ps'])).toMatchObject({ code: 0, lines: [] })
})

it('says of a server that does not answer that it does not, and forgets one whose process is gone', async () => {
  const { store, run, add } = await setup()
  const cid = await add('tiny-bert')
  const { url, stop } = await serve(cid, store)
  const folder = path.join(store, 'servers')
  const fileOf = (pid: number, name = `${pid}.json`, host = hostname()): Promise<void> =>
    writeFile(
      path.join(folder, name),
      JSON.stringify({ pid, url, token: 'x'.repeat(16), startedAt: '2026-01-01T00:00:00.000Z', host }),
    )
  // No process has that number: Linux has no more than 2^22.
  const gone = 2 ** 22 + 1
  await fileOf(gone)
  await fileOf(gone + 1, `${gone + 1}.partial`)
  await fileOf(gone + 2, undefined, 'another-machine')
  await fileOf(process.ppid)
  // The process that this one was started by is there, and what answers is not it.
  expect(await run(['ps'])).toMatchObject({
    code: 0,
    lines: [{ pid: process.ppid, answers: false }, { server: { pid: process.pid } }],
  })
  await expect(stat(path.join(folder, `${gone}.json`))).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(stat(path.join(folder, `${gone + 1}.partial`))).rejects.toMatchObject({ code: 'ENOENT' })
  expect((await stat(path.join(folder, `${gone + 2}.json`))).isFile()).toBe(true)
  await stop()
  expect((await run(['ps'])).lines).toMatchObject([{ url, pid: process.ppid, answers: false }])
})
