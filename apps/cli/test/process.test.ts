import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { writeFixtureModel } from '@x/fixtures'
import { describe, expect, it } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

const program = fileURLToPath(new URL('./cli-process.ts', import.meta.url))
const node = [process.execPath, '--conditions=@x/source', '--disable-warning=ExperimentalWarning', program]

describe('the process', () => {
  it('leaves nothing visible when Ctrl-C stops an add, and exits 130', async (context) => {
    if (process.platform === 'win32') context.skip('signals cannot be sent to one process on Windows')
    const folder = await temporaryDirectory()
    const store = path.join(folder, 'store')
    const pipe = path.join(folder, 'tree')
    await mkdir(pipe)
    await writeFile(path.join(pipe, 'first'), 'first')
    // Fed by hand and never ended, so the add is certainly under way when it is stopped.
    const [command = '', ...args] = node
    const child = spawn(command, [...args, 'add', pipe, '-', '--store', store, '--json'], { stdio: 'pipe' })
    const stdout: string[] = []
    const stderr: string[] = []
    child.stdout.on('data', (chunk) => stdout.push(String(chunk)))
    child.stderr.on('data', (chunk) => stderr.push(String(chunk)))
    await once(child.stdout, 'data')
    child.stdin.on('error', () => undefined)
    // Three leaves, then silence: the second has been asked for once the pipe has taken this much.
    await new Promise<void>((resolve) => child.stdin.write(Buffer.alloc(3 * 1024 * 1024, 1), () => resolve()))
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    expect(code).toBe(130)
    expect(stderr.join('')).toContain('INTERRUPTED')
    expect(stdout.join('').trim().split('\n')).toHaveLength(1)
    const { lines } = await cli(['ls', '--json', '--store', store])
    expect(lines).toHaveLength(1)
    expect(await readdir(path.join(store, 'tmp'))).toEqual([])
  })

  it('stops a run that waits for the next line', async (context) => {
    if (process.platform === 'win32') context.skip('signals cannot be sent to one process on Windows')
    const folder = await temporaryDirectory()
    const model = path.join(folder, 'model')
    await writeFixtureModel('tiny-bert', model)
    const [command = '', ...args] = node
    const child = spawn(command, [...args, 'run', 'feature-extraction', '--model', model, '-', '--json'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, IPFS_ACCELERATE_CACHE_DIR: path.join(folder, 'store') },
    })
    child.stdin.write('hello world\n')
    const [line] = await once(child.stdout, 'data')
    expect(String(line)).toContain('"input":"hello world"')
    // The pipe stays open, as a terminal does.
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    expect(code).toBe(130)
  })

  it('ends without a word when the reader of its output goes away', async () => {
    const folder = await temporaryDirectory()
    const big = path.join(folder, 'big')
    const stream = createWriteStream(big)
    for (let index = 0; index < 8; index++) stream.write(Buffer.alloc(1024 * 1024, index))
    stream.end()
    await once(stream, 'finish')
    const store = path.join(folder, 'store')
    const { lines } = await cli(['add', big, '--json', '--store', store])
    const [command = '', ...args] = node
    const child = spawn(command, [...args, 'cat', String(lines[0]?.['cid']), '--store', store], { stdio: 'pipe' })
    const stderr: string[] = []
    child.stderr.on('data', (chunk) => stderr.push(String(chunk)))
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [code] = await once(child, 'exit')
    expect(code).toBe(1)
    expect(stderr.join('')).toBe('')
  })

  it('runs a model by CID with the network cut', async (context) => {
    if (spawnSync('unshare', ['-n', 'true']).status !== 0) {
      context.skip('unshare -n (Linux, as root) is needed to cut the network')
    }
    const folder = await temporaryDirectory()
    const store = path.join(folder, 'store')
    const model = path.join(folder, 'model')
    await writeFixtureModel('tiny-bert', model)
    const { lines } = await cli(['model', 'add', model, '--json', '--store', store])
    const reference = `ipfs://${String(lines[0]?.['cid'])}`
    const argv = [...node, 'run', 'feature-extraction', '--model', reference, 'hello world', '--json', '--store', store]
    const { status, stdout, stderr } = spawnSync('unshare', ['-n', ...argv], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    const cut: Record<string, unknown> = JSON.parse(stdout)
    expect(cut['receipt']).toMatchObject({ model: lines[0]?.['cid'] })
  })
})
