/** A model by its CID from several places, none of which is trusted. */
import path from 'node:path'

import { writeFixtureModel } from '@x/fixtures'
import { openStorage, serveGateway, serveHttp } from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

/** Three gateways: one that is dead, one that flips a bit of whatever it gives, one that is honest. */
async function gateways() {
  const folder = await temporaryDirectory()
  await writeFixtureModel('tiny-bert', path.join(folder, 'model'))
  const theirs = path.join(folder, 'theirs')
  const { lines } = await cli(['model', 'add', path.join(folder, 'model'), '--json', '--store', theirs])
  const cid = String(lines[0]?.['cid'])
  const storage = await openStorage({ directory: theirs, environment: {} })
  onTestFinished(() => storage.close())
  const honest = await serveGateway(storage, { environment: {} })
  onTestFinished(() => honest.close())
  const dead = await serveGateway(storage, { environment: {} })
  await dead.close()
  const flip = async ({ url, headers }: Request): Promise<Response> => {
    const { pathname, search } = new URL(url)
    const answer = await fetch(honest.url + pathname + search, { headers: { accept: headers.get('accept') ?? '' } })
    const body = new Uint8Array(await answer.arrayBuffer())
    const last = body.length - 1
    body[last] = (body[last] ?? 0) ^ 1
    const { status } = answer
    return new Response(body, { status, headers: { 'content-type': answer.headers.get('content-type') ?? '' } })
  }
  const lying = await serveHttp(flip, { environment: {} })
  onTestFinished(() => lying.close())
  const pull = (from: { url: string }[], ...args: string[]) => {
    const places = from.flatMap(({ url }) => ['--from', `gateway=${url}`])
    const into = ['--store', path.join(folder, 'ours')]
    return cli(['model', 'pull', `ipfs://${cid}`, ...places, ...into, ...args])
  }
  const list = () => cli(['ls', '--json', '--store', path.join(folder, 'ours')])
  return { dead, lying, honest, pull, list, cid }
}

const host = ({ url }: { url: string }): string => new URL(url).host

it('one is dead, one lies: the model is here, and who lied is named', async () => {
  const { dead, lying, honest, pull, cid } = await gateways()
  const pulled = await pull([lying, dead, honest])
  expect(pulled.code).toBe(0)
  expect(pulled.stdout).toContain(cid)
  const lineOf = (of: { url: string }): string | undefined =>
    pulled.stdout.split('\n').find((line) => line.includes(host(of)))
  expect(lineOf(lying)).toMatch(/ {2}banned {2}.*hash to/)
  expect(lineOf(honest)).toMatch(/ {2}answered$/)
  expect(lineOf(dead)).toMatch(/ {2}0 B {2}(?:unused|dropped) {2}/)
})

it('nothing is here when all that is left lies or is dead', async () => {
  const { dead, lying, pull, list } = await gateways()
  expect(await pull([lying], '--json')).toMatchObject({ code: 4, stdout: '', error: { code: 'INTEGRITY' } })
  const neither = await pull([dead, lying], '--json')
  expect(neither).toMatchObject({ code: 1, stdout: '', error: { code: 'BACKEND' } })
  expect(neither.stderr).toContain(`{"warning":"gateway=${host(dead)}: `)
  expect(neither.stderr).toContain(`{"warning":"gateway=${host(lying)}: `)
  expect((await list()).lines).toEqual([])
})

it.each(['0', '-1', '1.5', 'x'])('a limit of %s bytes a second is a mistake in the arguments', async (limit) => {
  const folder = await temporaryDirectory()
  const from = ['--from', 'gateway=http://127.0.0.1:9', `--limit-rate=${limit}`, '--store', path.join(folder, 'store')]
  const { code, stderr } = await cli(['model', 'pull', 'ipfs://bafkqaaa', ...from])
  expect(code).toBe(2)
  expect(stderr).toContain('--limit-rate')
})
