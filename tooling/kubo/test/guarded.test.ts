import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, it, onTestFinished } from 'vitest'

import { openGuard, type GuardEvent } from '../guarded.ts'

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'guarded-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'file'), '')
  return folder
}

it('removes the folder when its process ends before the guard has begun', async () => {
  const folder = await temporary()
  const outside = await temporary()
  const mark = join(outside, 'mark')
  // Must be killed before it comes to that, if it is run at all.
  const command = `setTimeout(() => require('fs').writeFileSync(${JSON.stringify(mark)}, ''), 60_000)`
  const script = fileURLToPath(new URL('children/guard-and-exit.ts', import.meta.url))
  await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', script, folder, command])
  await expect.poll(() => existsSync(folder)).toBe(false)
  expect(existsSync(mark)).toBe(false)
})

it('tells every line, then the end, of one program after another', async () => {
  const folder = await temporary()
  const events: GuardEvent[] = []
  const guard = openGuard({ folder, env: process.env, onEvent: (event) => events.push(event) })
  onTestFinished(() => guard.close())
  const run = async (code: string): Promise<GuardEvent[]> => {
    events.length = 0
    guard.run(process.execPath, ['-e', code])
    await expect.poll(() => events.at(-1)?.type).toBe('ended')
    return events.slice(1)
  }
  expect(await run('console.log("one"); process.stderr.write("two"); process.exitCode = 3')).toEqual(
    expect.arrayContaining([
      { type: 'line', stream: 'stdout', text: 'one' },
      { type: 'line', stream: 'stderr', text: 'two' },
      { type: 'ended', code: 3, signal: null },
    ]),
  )
  expect(await run('process.kill(process.pid, "SIGKILL")')).toEqual([{ type: 'ended', code: null, signal: 'SIGKILL' }])
  await guard.close()
  expect(existsSync(folder)).toBe(false)
})
