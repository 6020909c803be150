import { spawn, spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, existsSync } from 'node:fs'
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
    // With all that it said.
    const [code] = await once(child, 'close')
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

  it('says what is wrong with a line while others may follow', async () => {
    const folder = await temporaryDirectory()
    const model = path.join(folder, 'model')
    await writeFixtureModel('tiny-qa', model)
    const [command = '', ...args] = node
    const child = spawn(command, [...args, 'run', 'question-answering', '--model', model, '-', '--json'], {
      stdio: 'pipe',
      env: { ...process.env, IPFS_ACCELERATE_CACHE_DIR: path.join(folder, 'store') },
    })
    const stderr: string[] = []
    child.stderr.on('data', (chunk) => stderr.push(String(chunk)))
    child.stdin.on('error', () => undefined)
    child.stdin.write('no question\n')
    // The pipe stays open.
    const [code] = await once(child, 'close')
    expect(code).toBe(2)
    expect(JSON.parse(stderr.join(''))).toMatchObject({ error: { code: 'USAGE' } })
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
    const [code] = await once(child, 'close')
    expect(code).toBe(1)
    expect(stderr.join('')).toBe('')
  })

  it('carries a tree from one store to another through a pipe', async () => {
    const folder = await temporaryDirectory()
    const [from, to] = [path.join(folder, 'from'), path.join(folder, 'to')]
    const tree = path.join(folder, 'tree')
    await mkdir(path.join(tree, 'sub'), { recursive: true })
    await writeFile(path.join(tree, 'sub', 'large'), randomFillSync(Buffer.alloc(5_000_000)))
    await writeFile(path.join(tree, 'small'), 'hello world')
    const added = await cli(['add', tree, '--json', '--store', from])
    const root = String(added.lines[0]?.['cid'])
    const [command = '', ...args] = node
    const source = spawn(command, [...args, 'car', 'export', root, '--store', from], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const sink = spawn(command, [...args, 'car', 'import', '-', '--json', '--store', to], {
      stdio: [source.stdout, 'pipe', 'inherit'],
    })
    const printed: string[] = []
    sink.stdout?.on('data', (chunk) => printed.push(String(chunk)))
    const [[exported], [imported]] = await Promise.all([once(source, 'exit'), once(sink, 'close')])
    expect([exported, imported]).toEqual([0, 0])
    expect(JSON.parse(printed.join(''))).toMatchObject({ path: '-', roots: [root] })
    const verified = await cli(['verify', root, '--json', '--store', to])
    expect(verified.lines).toMatchObject([{ cid: root, ok: true, checked: 5_000_011 }])
  })

  it('leaves no file when Ctrl-C stops a CAR that is written', async (context) => {
    if (process.platform === 'win32') context.skip('signals cannot be sent to one process on Windows')
    const folder = await temporaryDirectory()
    const store = path.join(folder, 'store')
    const out = path.join(folder, 'out')
    await mkdir(out)
    await writeFile(path.join(folder, 'big'), randomFillSync(Buffer.alloc(64 * 1024 * 1024)))
    const added = await cli(['add', path.join(folder, 'big'), '--json', '--store', store])
    const root = String(added.lines[0]?.['cid'])
    // As soon as there is a file, by the process itself: on a busy machine it may be done before another one has seen it.
    const interrupt = `import { watch } from 'node:fs'
      const watcher = watch(${JSON.stringify(out)}, () => { watcher.close(); process.kill(process.pid, 'SIGINT') })`
    const [command = '', ...args] = node
    const argv = [`--import=data:text/javascript,${encodeURIComponent(interrupt)}`, ...args]
    const child = spawn(command, [...argv, 'car', 'export', root, '-o', path.join(out, 'x.car'), '--store', store], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    expect((await once(child, 'exit'))[0]).toBe(130)
    expect(await readdir(out)).toEqual([])
  })

  it('takes no root of a CAR that Ctrl-C stops on its way', async (context) => {
    if (process.platform === 'win32') context.skip('signals cannot be sent to one process on Windows')
    const folder = await temporaryDirectory()
    const [from, to] = [path.join(folder, 'from'), path.join(folder, 'to')]
    await writeFile(path.join(folder, 'big'), randomFillSync(Buffer.alloc(5_000_000)))
    const added = await cli(['add', path.join(folder, 'big'), '--json', '--store', from])
    const { bytes } = await cli(['car', 'export', String(added.lines[0]?.['cid']), '--store', from])
    const [command = '', ...args] = node
    const child = spawn(command, [...args, 'car', 'import', '-', '--store', to], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    const ended = once(child, 'exit')
    child.stdin.on('error', () => undefined)
    // Half of it, then silence: some of it has been asked for once the pipe has taken this much.
    await new Promise<void>((resolve) => child.stdin.write(bytes.subarray(0, bytes.length / 2), () => resolve()))
    child.kill('SIGINT')
    expect((await ended)[0]).toBe(130)
    expect(await cli(['ls', '--json', '--store', to])).toMatchObject({ code: 0, lines: [] })
  })

  it('draws a bar on a terminal', async (context) => {
    const script = '/usr/bin/script'
    if (process.platform !== 'linux' || !existsSync(script)) {
      context.skip('script (util-linux) is needed for a pseudo-terminal')
    }
    const folder = await temporaryDirectory()
    await writeFile(path.join(folder, 'file'), Buffer.alloc(5_000_000))
    // Each reading of the clock is a second later, so every step is drawn.
    const clock = 'data:text/javascript,let t = 0; performance.now = () => (t += 1000)'
    const [command, ...args] = node
    const argv = [command, `--import=${clock}`, ...args, 'add', path.join(folder, 'file')]
    const line = [...argv, '--store', path.join(folder, 'store')].map((word) => `'${word}'`).join(' ')
    const { stdout, status } = spawnSync(script, ['-qec', line, '/dev/null'], { encoding: 'utf8' })
    expect(status).toBe(0)
    const drawn = stdout.split('\r\u001B[K')
    // The bar goes, and the result stays.
    expect(drawn.at(-1)).toMatch(/^bafy\S+ {2}5\.0 MB {2}\S+file\r\n$/)
    expect(drawn.at(-2)).toMatch(/^\[#{20}\] 100% {2}5\.0 MB of 5\.0 MB {2}\S+ [kMG]?B\/s {2}0 s left/)
  })

  it('runs a model without reports of the runtime to its maker', async () => {
    const folder = await temporaryDirectory()
    const [home, temp, model] = [path.join(folder, 'home'), path.join(folder, 'temp'), path.join(folder, 'model')]
    await Promise.all([mkdir(home), mkdir(temp)])
    await writeFixtureModel('tiny-bert', model)
    const [command = '', ...args] = node
    // In threads and in processes of their own; no variable says that it is CI, where the runtime reports nothing anyway.
    const argv = ['run', 'feature-extraction', '--model', model, 'hello', '--provider', 'cpu,wasm', '--store']
    const { status } = spawnSync(command, [...args, ...argv, path.join(folder, 'store')], {
      env: { PATH: process.env['PATH'], HOME: home, USERPROFILE: home, TMPDIR: temp, TEMP: temp, TMP: temp },
    })
    expect(status).toBe(0)
    // Where it keeps what it reports, and the identifier of the machine.
    expect(await readdir(home, { recursive: true })).toEqual([])
    expect(await readdir(temp)).toEqual([])
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
