import crypto from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { parseTokens, readTokenFile } from '@x/server'
import { expect, it, onTestFinished, vi } from 'vitest'

import { createIdentify } from '../src/tokens.ts'

const [A, B] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb']

it('reads tokens with their names, what they are for, and how often', () => {
  const text = `# who may ask\n\n${A}\r\n  ${B} lab write,admin 60/min  \n`
  expect(parseTokens(text)).toEqual([
    { token: A, name: 'line-3', scopes: ['infer', 'read'] },
    { token: B, name: 'lab', scopes: ['write', 'admin'], requestsPerMinute: 60 },
  ])
})

it.each([
  ['', 'there is no token'],
  ['# nobody', 'there is no token'],
  ['short', 'not visible ASCII of 16'],
  ['ünsichtbarünsichtbar', 'not visible ASCII'],
  [`${A} lab infer,everything`, 'line 1'],
  [`${A} lab infer, read`, 'line 1'],
  [`\n${A} infer`, 'line 2'],
  [`${A} lab infer 0/min`, 'no rate'],
  [`${A} lab infer 60`, 'no rate'],
  [`${A} lab infer 60/min more`, 'line 1'],
  [`${A} a\n${A} b`, 'line 2: its token is that of line 1'],
  // The name first.
  [`alice ${A} infer`, 'line 1: its token is not visible'],
  [`short-one name read ${A}`, 'no rate'],
])('refuses %j, and says no token', (text, message) => {
  let thrown: unknown
  try {
    parseTokens(text)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })
  expect(String(thrown)).not.toContain(A)
})

it('compares what was sent with every token, wherever the right one stands', () => {
  const tokens = [A, B, 'cccccccccccccccc'].map((token) => ({
    token,
    name: token.slice(0, 1),
    scopes: ['infer'] as const,
  }))
  const identify = createIdentify(tokens)
  const compare = vi.spyOn(crypto, 'timingSafeEqual')
  onTestFinished(() => compare.mockRestore())
  for (const [sent, name] of [
    [A, 'a'],
    ['cccccccccccccccc', 'c'],
    ['dddddddddddddddd', undefined],
    ['d', undefined],
  ]) {
    compare.mockClear()
    expect(identify(`Bearer ${sent}`)?.name).toBe(name)
    expect(compare).toHaveBeenCalledTimes(3)
  }
  for (const header of [null, '', A, `Basic ${A}`, `Bearer${A}`, `Bearer ${A} ${A}`, `Bearer ${A}é`]) {
    expect([header, identify(header)]).toEqual([header, undefined])
  }
  expect(identify(`bearer  ${B} `)?.name).toBe('b')
})

it('says of a file that others may read it, and which one cannot be read', async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'tokens-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'tokens')
  await expect(readTokenFile(file)).rejects.toMatchObject({ code: 'INVALID_INPUT', input: file })
  await writeFile(file, `${A} lab\n`, { mode: 0o600 })
  const warnings: string[] = []
  const read = (): ReturnType<typeof readTokenFile> => readTokenFile(file, (message) => warnings.push(message))
  expect(await read()).toMatchObject([{ name: 'lab' }])
  expect(warnings).toEqual([])
  if (process.platform === 'win32') context.skip('no modes of files here')
  await chmod(file, 0o640)
  await read()
  expect(warnings).toEqual([expect.stringContaining('chmod 600')])
})
