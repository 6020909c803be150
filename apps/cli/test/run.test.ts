import path from 'node:path'

import { describe, expect, it } from 'vitest'

import { ClosedOutputError } from '../src/io.ts'
import { cli } from './harness.ts'
import { fromOf, HELLO, setup } from './results-support.ts'

const WRITE = ['run', 'text-generation', 'the quick', '--model', 'fix/tiny-gpt', '--option', 'max_new_tokens=6']

const nobody = (): never => {
  throw new ClosedOutputError('the output was closed')
}

describe('run --stream', () => {
  it('prints a text while it is written, on a terminal without being asked', async () => {
    const { add, store } = await setup()
    await add('tiny-gpt')
    const pieces: string[] = []
    const write = (...more: string[]) => [...WRITE, '--store', store, '--cache', 'refresh', ...more]
    const terminal = await cli(write(), { terminals: ['stdout'], onStdout: (text) => pieces.push(text) })
    expect(terminal.code).toBe(0)
    expect(pieces.length).toBeGreaterThan(4)
    expect(terminal.stdout).toMatch(/^the quick\n {2} \w+[\w ]*\n {2}computed; model .*\n$/)
    const [, text = ''] = terminal.stdout.split('\n')
    expect((await cli(write('--stream'))).stdout).toBe(terminal.stdout)
    const whole = (await cli(write())).stdout
    expect(whole).toContain(JSON.stringify({ generated_text: `the quick${text.slice(2)}` }))
    // What was kept is there at once.
    expect((await cli([...WRITE, '--store', store], { terminals: ['stdout'] })).stdout).toBe(
      whole.replace('computed', 'kept on disk'),
    )
  })

  it('prints an object for each piece with --json', async () => {
    const { add, run } = await setup()
    await add('tiny-gpt')
    const { lines } = await run([...WRITE, '--stream'])
    const pieces = lines.slice(0, -1)
    expect(pieces.length).toBeGreaterThan(3)
    for (const line of pieces) expect(line).toEqual({ input: 'the quick', piece: expect.any(String) })
    const text = pieces.map(({ piece }) => piece).join('')
    expect(lines.at(-1)).toMatchObject({ from: 'computed', output: { generated_text: `the quick${text}` } })
    expect((await run([...WRITE, '--stream'])).lines).toEqual([{ ...lines.at(-1), from: 'disk' }])
    const { lines: one } = await run([...WRITE, '--cache', 'bypass'], { terminals: ['stdout'] })
    expect(one).toEqual([lines.at(-1)])
  })

  it('stops when nobody reads any more', async () => {
    const { add, store } = await setup()
    await add('tiny-gpt')
    let written = 0
    const onStdout = (): void => {
      written += 1
      if (written > 1) throw new ClosedOutputError('the output was closed')
    }
    const argv = [...WRITE, '--store', store, '--stream']
    expect(await cli(argv, { onStdout })).toMatchObject({ code: 1, stderr: '' })
    expect(written).toBe(2)
    expect((await cli(['cache', 'stats', '--json', '--store', store])).lines).toMatchObject([{ results: { held: 0 } }])
  })

  it.each([[['--stream']], [[]]])('writes the receipt where nobody reads any more: %j', async (more) => {
    const { add, store, folder } = await setup()
    await add('tiny-gpt')
    const file = path.join(folder, 'result.car')
    const argv = [...WRITE, '--store', store, '--receipt', file, ...more]
    expect(await cli(argv, { onStdout: nobody })).toMatchObject({ code: 1, stderr: '' })
    expect(await cli(['receipt', 'verify', file, '--store', store])).toMatchObject({ code: 0 })
  })

  it('is refused of a task that writes none', async () => {
    const { run } = await setup()
    const refused = await run([...HELLO, '--stream'])
    expect(refused).toMatchObject({ code: 2, error: { code: 'USAGE' } })
    expect(refused.error?.['message']).toMatch(/text-classification writes no text.*text-generation/)
  })
})

describe('run --provider', () => {
  it('uses what is named, and nothing else', async () => {
    const { add, run } = await setup()
    await add('tiny-sentiment')
    const none = await run([...HELLO, '--provider', 'abacus'])
    expect(none).toMatchObject({ code: 5, stdout: '', error: { code: 'GATED', feature: 'execution-provider' } })
    expect(none.error?.['message']).toContain('has no abacus')
    const next = await run([...HELLO, '--provider', 'abacus,cpu'])
    expect(next).toMatchObject({ code: 0, lines: [{ from: 'computed', receipt: { executionProvider: 'cpu' } }] })
    expect(next.stderr).toContain('abacus does not work here')
    expect(fromOf(await run([...HELLO, '--provider', 'cpu']))).toBe('disk')
    // What is known of execution providers is no result.
    expect((await run(['cache', 'stats'])).lines).toMatchObject([
      { results: { held: 1, misses: 1 }, models: { held: 1, misses: 1 }, providers: { held: 2, hits: 1, misses: 2 } },
    ])
    for (const wrong of ['', 'cpu,', 'auto,cpu'])
      expect(await run([...HELLO, '--provider', wrong])).toMatchObject({ code: 2, error: { code: 'USAGE' } })
  })
})

it('run reads lines however they come, and no text that is none', async () => {
  const { add, run } = await setup()
  await add('tiny-sentiment')
  const argv = ['run', 'text-classification', '-', '--model', 'fix/tiny-sentiment']
  const lines = await run(argv, { stdin: 'good\r\n\nbad \u2028 good\nlast' })
  expect(lines.lines.map(({ input }) => input)).toEqual(['good', 'bad \u2028 good', 'last'])
  const broken = ['run', 'question-answering', '-', '--model', 'fix/tiny-sentiment']
  expect(await run(broken, { stdin: '{"question": "who?"' })).toMatchObject({
    code: 2,
    error: { message: expect.stringMatching(/takes .*, not \{"question": "who\?": .*position 19/) },
  })
  const wrong = await run(argv, { stdin: Uint8Array.of(0x67, 0xff, 0x0a) })
  expect(wrong).toMatchObject({ code: 2, stdout: '', error: { message: 'standard input is not text in UTF-8' } })
})
