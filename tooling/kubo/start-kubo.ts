import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

import type { Kubo } from './find-kubo.ts'
import { openGuard, type Guard, type GuardEvent } from './guarded.ts'
import {
  fieldOf,
  isolated,
  mergeConfig,
  parseConfig,
  type Json,
  type JsonObject,
  type SwarmTransport,
} from './kubo-config.ts'

export interface StartKuboOptions {
  /** Whether it has a swarm, on loopback and without a peer. Default true; `false` is `ipfs daemon --offline`. */
  online?: boolean | undefined
  /** Profiles of `ipfs init` beside `test`: `unixfs-v1-2025`, `flatfs`, `pebbleds`. Default: none. */
  profiles?: readonly string[] | undefined
  /** How peers may connect. Default `['tcp']`. */
  transports?: readonly SwarmTransport[] | undefined
  /** Whether it looks for peers by mDNS. Default false. */
  mdns?: boolean | undefined
  /** Whether the RPC API listens on a Unix socket too. Default false. */
  unixSocket?: boolean | undefined
  /** Fields of Kubo's configuration, laid over what keeps it to itself. */
  config?: JsonObject | undefined
  /** Arguments of `ipfs daemon`: `--enable-gc`. */
  args?: readonly string[] | undefined
  /** Variables of the daemon's environment. */
  env?: Readonly<Record<string, string>> | undefined
  /** Where its folder is made. Default: the system's folder for temporary files. */
  parent?: string | undefined
}

interface IpfsOutput {
  stdout: Buffer
  stderr: string
}

/** A daemon in a repository of its own that is gone with it. */
export interface KuboNode {
  readonly version: string
  readonly peerId: string
  /** The repository (`IPFS_PATH`). */
  readonly repo: string
  /** `http://127.0.0.1:PORT`, the same after a restart. */
  readonly api: string
  /** The RPC API's Unix socket; `undefined` unless it was asked for. */
  readonly socket: string | undefined
  /** `http://127.0.0.1:PORT`, the same after a restart. */
  readonly gateway: string
  /** Multiaddrs, with `/p2p/PEER`, of its swarm; none if it is not online. */
  readonly addresses: readonly string[]
  /** The daemon's process id; `undefined` while it does not run. */
  readonly pid: number | undefined
  /** What it printed, newest last, at most 1000 lines. */
  readonly log: readonly string[]
  /**
   * Runs `ipfs` on the repository; it asks the daemon while that runs.
   *
   * @throws The status is not 0: the message has what it said.
   */
  ipfs(
    args: readonly string[],
    options?: { input?: string | Uint8Array | AsyncIterable<Uint8Array>; signal?: AbortSignal },
  ): Promise<IpfsOutput>
  /** SIGKILL. Resolves when it is gone; the repository stays. */
  kill(): Promise<void>
  /** SIGTERM, as a person would. Resolves when it is gone; the repository stays. */
  shutdown(): Promise<void>
  /** Starts it again, on the same ports; shuts it down first if it runs. */
  restart(): Promise<void>
  /** Kills it if it runs, and removes the repository. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const LOG_LINES = 1000
const START_STALL_MS = 30_000

/**
 * Makes a repository and starts a daemon on it: on loopback, on free ports, known to nobody and looking for nobody.
 * It ends with `stop`, and whatever becomes of this process.
 *
 * @returns When the daemon says that it is ready.
 * @throws It ended before, or said nothing for 30 seconds. The message has what it printed.
 */
export async function startKubo(kubo: Kubo, options: StartKuboOptions = {}): Promise<KuboNode> {
  const folder = await mkdtemp(join(options.parent ?? tmpdir(), 'kubo-'))
  const repo = join(folder, 'repo')
  const env = { ...process.env, IPFS_TELEMETRY: 'off', ...options.env, IPFS_PATH: repo }
  const node = new Daemon({ kubo, options, folder, repo, env })
  try {
    await node.init()
    await node.start()
    // A program that forgets to stop it can still end, and the daemon ends with it.
    node.release()
    return node
  } catch (error) {
    await node.stop()
    throw error
  }
}

class Daemon implements KuboNode {
  readonly version: string
  readonly repo: string
  peerId = ''
  api = ''
  gateway = ''
  addresses: readonly string[] = []
  pid: number | undefined
  readonly log: string[] = []
  readonly socket: string | undefined

  readonly #kubo: Kubo
  readonly #options: StartKuboOptions
  readonly #env: NodeJS.ProcessEnv
  readonly #guard: Guard
  /** For our own calls, where the configuration asks for one. */
  #secret: string | undefined
  #listener: ((event: GuardEvent) => void) | undefined
  #ended: Promise<GuardEvent> | undefined

  constructor(given: { kubo: Kubo; options: StartKuboOptions; folder: string; repo: string; env: NodeJS.ProcessEnv }) {
    this.#kubo = given.kubo
    this.#options = given.options
    this.#env = given.env
    this.version = given.kubo.version
    this.repo = given.repo
    this.socket = given.options.unixSocket === true ? join(given.folder, 'api.sock') : undefined
    this.#guard = openGuard({ folder: given.folder, env: given.env, onEvent: (event) => this.#take(event) })
  }

  async init(): Promise<void> {
    await mkdir(this.repo)
    const profiles = ['test', ...(this.#options.profiles ?? [])].join(',')
    this.#run(['init', '--empty-repo', `--profile=${profiles}`])
    await this.#ended
    const file = join(this.repo, 'config')
    const made = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new Error(this.#report('ipfs init made no repository'), { cause })
    })
    const { transports = ['tcp'], mdns = false, config = {} } = this.#options
    let merged = mergeConfig(mergeConfig(parseConfig(made), isolated({ transports, mdns })), config)
    if (this.socket !== undefined) {
      const tcp = fieldOf(merged, 'Addresses', 'API') ?? []
      merged = mergeConfig(merged, { Addresses: { API: [tcp, `/unix${this.socket}`].flat() } })
    }
    if (fieldOf(merged, 'API', 'Authorizations') !== undefined) {
      this.#secret = randomBytes(16).toString('hex')
      const own = { AuthSecret: `bearer:${this.#secret}`, AllowedPaths: ['/api/v0'] }
      merged = mergeConfig(merged, { API: { Authorizations: { tooling: own } } })
    }
    await writeFile(file, JSON.stringify(merged, null, 2))
    const peerId = fieldOf(merged, 'Identity', 'PeerID')
    if (typeof peerId !== 'string') throw new Error('the configuration has no PeerID')
    this.peerId = peerId
  }

  async start(): Promise<void> {
    const online = this.#options.online ?? true
    const first = this.api === ''
    const args = ['daemon', ...(online ? [] : ['--offline']), ...(this.#options.args ?? [])]
    await this.#untilReady(args)
    if (!first) return
    if (online) this.addresses = await this.#swarmAddresses()
    await this.#keepPorts()
  }

  async ipfs(...[args, { input, signal } = {}]: Parameters<KuboNode['ipfs']>): Promise<IpfsOutput> {
    const auth = this.#secret === undefined ? [] : [`--api-auth=bearer:${this.#secret}`]
    const child = spawn(this.#kubo.path, [...auth, ...args], { env: this.#env, stdio: 'pipe', signal })
    const status = new Promise<number | string | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, name) => resolve(code ?? name))
    })
    // It may end without having read everything; then its status says why.
    const bytes = typeof input === 'string' || input instanceof Uint8Array ? [input] : (input ?? [])
    const written = pipeline(bytes, child.stdin).catch((error: unknown) => error)
    const [stdout, stderr, code] = await Promise.all([buffer(child.stdout), text(child.stderr), status])
    if (code !== 0) {
      const [said = ''] = stderr.split('\n\nUSAGE')
      throw new Error(`ipfs ${args.join(' ').slice(0, 200)}: status ${code}: ${said.trim()}`)
    }
    const failure = await written
    if (failure !== undefined) throw failure
    return { stdout, stderr }
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async shutdown(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async restart(): Promise<void> {
    await this.shutdown()
    this.#guard.hold()
    await this.start()
    this.#guard.release()
  }

  release(): void {
    this.#guard.release()
  }

  async stop(): Promise<void> {
    await this.#guard.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.pid === undefined) return
    this.#guard.hold()
    this.#guard.kill(signal)
    await this.#ended
    this.#guard.release()
  }

  #run(args: readonly string[]): void {
    this.log.length = 0
    this.#ended = new Promise((resolve) => {
      this.#listener = (event) => {
        if (event.type === 'ended' || event.type === 'failed') resolve(event)
      }
    })
    this.#guard.run(this.#kubo.path, args)
  }

  #take(event: GuardEvent): void {
    if (event.type === 'started') this.pid = event.pid
    if (event.type === 'ended' || event.type === 'failed') this.pid = undefined
    if (event.type === 'failed') this.log.push(event.message)
    if (event.type === 'line') {
      this.log.push(event.text)
      if (this.log.length > LOG_LINES) this.log.shift()
    }
    this.#listener?.(event)
  }

  async #untilReady(args: readonly string[]): Promise<void> {
    this.#run(args)
    const onEnd = this.#listener
    await new Promise<void>((resolve, reject) => {
      const fail = (what: string): void => {
        clearTimeout(stalled)
        reject(new Error(this.#report(what)))
      }
      const stalled = setTimeout(() => fail(`ipfs daemon said nothing for ${START_STALL_MS} ms`), START_STALL_MS)
      this.#listener = (event) => {
        onEnd?.(event)
        if (event.type === 'ended' || event.type === 'failed') return fail('ipfs daemon ended before it was ready')
        if (event.type !== 'line') return
        stalled.refresh()
        this.#readAddress(event.text)
        if (event.text.trim() !== 'Daemon is ready') return
        clearTimeout(stalled)
        this.#listener = onEnd
        resolve()
      }
    })
    if (this.api === '' || this.gateway === '') throw new Error(this.#report('ipfs daemon named no address'))
  }

  #readAddress(line: string): void {
    const match = /^(RPC API|Gateway) server listening on \/ip4\/127\.0\.0\.1\/tcp\/(\d+)$/.exec(line.trim())
    if (match?.[1] === 'RPC API') this.api = `http://127.0.0.1:${match[2]}`
    if (match?.[1] === 'Gateway') this.gateway = `http://127.0.0.1:${match[2]}`
  }

  async #swarmAddresses(): Promise<string[]> {
    const headers = this.#secret === undefined ? {} : { authorization: `Bearer ${this.#secret}` }
    const response = await fetch(`${this.api}/api/v0/id`, { method: 'POST', headers })
    const answer: Json = JSON.parse(await response.text())
    const addresses = fieldOf(answer, 'Addresses')
    if (!Array.isArray(addresses)) throw new Error(`api/v0/id gave no addresses: ${JSON.stringify(answer)}`)
    return addresses.map(String)
  }

  /** So that a restarted daemon is where it was. */
  async #keepPorts(): Promise<void> {
    const file = join(this.repo, 'config')
    const config = parseConfig(await readFile(file, 'utf8'))
    const taken: Record<string, Json> = {
      API: [`/ip4/127.0.0.1/tcp/${new URL(this.api).port}`, ...(this.socket ? [`/unix${this.socket}`] : [])],
      Gateway: `/ip4/127.0.0.1/tcp/${new URL(this.gateway).port}`,
    }
    const swarm = this.addresses.map((address) => address.replace(/\/(?:certhash|p2p)\/.*$/, ''))
    if (swarm.length > 0) taken['Swarm'] = [...new Set(swarm)]
    await writeFile(file, JSON.stringify(mergeConfig(config, { Addresses: taken }), null, 2))
  }

  #report(what: string): string {
    return [`${what} (Kubo ${this.version})`, ...this.log.slice(-20)].join('\n')
  }
}
