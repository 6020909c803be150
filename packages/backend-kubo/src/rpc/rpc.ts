import type { CID } from '@x/cid'
import { BackendError } from '@x/storage-core'
import { concatBytes, untilAborted } from '@x/storage-core/backend'

import { jsonLines, parse } from './json-lines.ts'
import { createMultipart } from './multipart.ts'
import { RpcFailure, toStorageError } from './rpc-error.ts'
import type { CallOptions, Exchange, Transport } from './transport.ts'

interface RpcOptions extends CallOptions {
  /** For messages: what is being done. Default: the command. */
  what?: string | undefined
  /** The block or root that is asked for. */
  cid?: CID | undefined
  /** The daemon shall look at home alone: its option `offline`. Default true. */
  local?: boolean | undefined
}

/** A request whose body is written as it is made. */
interface Upload {
  /** Begins the next file. */
  begin(): Promise<void>
  /** Resolves once the operating system has taken the bytes, which may then be used again. */
  write(bytes: Uint8Array): Promise<void>
  /** Ends the body; the values that the daemon answers with. */
  finish(): Promise<unknown[]>
  /** Stops the daemon's work on it, unless it has answered. */
  destroy(): void
}

/** Kubo's RPC. Every failure is one of the error family, and an abort the signal's own reason. */
export interface Rpc {
  /** The daemon's, for messages; has no secret. */
  readonly address: string
  /** One JSON value. */
  json(command: string, options?: RpcOptions, file?: { contentType: string; bytes: Uint8Array }): Promise<unknown>
  /** No answer is expected. */
  run(command: string, options?: RpcOptions): Promise<void>
  bytes(command: string, options: RpcOptions & { maxBytes: number }): Promise<Uint8Array>
  lines(command: string, options?: RpcOptions): AsyncGenerator
  upload(command: string, options?: RpcOptions): Upload
  /** Whether a collection runs, or a deletion, that much else waits for. */
  isCollecting(): Promise<boolean>
  close(): void
}

// An answer that is not streamed on: the pins of a daemon are streamed, so this is plenty.
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

const withOffline = (options: RpcOptions): RpcOptions =>
  options.local === false ? options : { ...options, query: { offline: true, ...options.query } }

export function createRpc(transport: Transport): Rpc {
  const { address } = transport
  let isClosed = false
  const enter = (): void => {
    if (isClosed) throw new BackendError('kubo: closed', { retryable: false })
  }

  async function guarded<T>(command: string, options: RpcOptions, task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (cause) {
      throw toError(cause, address, command, options)
    }
  }

  async function collect(
    command: string,
    options: RpcOptions,
    maxBytes: number,
    file?: { contentType: string; bytes: Uint8Array },
  ): Promise<Uint8Array> {
    enter()
    const { exchange, answer } = await transport.exchange(command, withOffline(options), file)
    const pieces: Uint8Array[] = []
    let byteLength = 0
    for await (const piece of limited(exchange.read(answer), maxBytes)) {
      byteLength += piece.length
      pieces.push(piece)
    }
    return concatBytes(pieces, byteLength)
  }

  return {
    address,
    json: (command, options = {}, file) =>
      guarded(command, options, async () => {
        const bytes = await collect(command, options, MAX_ANSWER_BYTES, file)
        return parse(new TextDecoder().decode(bytes))
      }),
    run: (command, options = {}) =>
      guarded(command, options, async () => {
        await collect(command, options, MAX_ANSWER_BYTES)
      }),
    bytes: (command, options) => guarded(command, options, () => collect(command, options, options.maxBytes)),
    async *lines(command, options = {}) {
      let exchange: Exchange | undefined
      enter()
      try {
        const sent = await transport.exchange(command, withOffline(options))
        exchange = sent.exchange
        yield* jsonLines(exchange.read(sent.answer))
      } catch (cause) {
        throw toError(cause, address, command, options)
      }
    },
    upload(command, options = {}) {
      enter()
      const multipart = createMultipart()
      const body = { contentType: multipart.contentType, stream: true } as const
      const exchange = transport.open(command, { patient: true, ...withOffline(options) }, body)
      const write = (bytes: Uint8Array): Promise<void> => guarded(command, options, () => exchange.write(bytes))
      return {
        begin: () => write(multipart.begin()),
        write,
        finish: () =>
          guarded(command, options, async () => {
            exchange.end(multipart.end())
            const values: unknown[] = []
            const answer = await untilAborted(exchange.answer(), options.signal)
            for await (const value of jsonLines(limited(exchange.read(answer), MAX_ANSWER_BYTES))) values.push(value)
            return values
          }),
        destroy: () => exchange.destroy(),
      }
    },
    isCollecting: () => guarded('diag/cmds', {}, () => transport.isCollecting()),
    close() {
      isClosed = true
      transport.close()
    },
  }
}

async function* limited(pieces: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let byteLength = 0
  for await (const piece of pieces) {
    byteLength += piece.length
    if (byteLength > maxBytes) throw new RpcFailure(`more than ${maxBytes} bytes`, { kind: 'foreign' })
    yield piece
  }
}

/** What a call rejects with: the caller's own reason after an abort, else an error of the family. */
function toError(cause: unknown, address: string, command: string, options: RpcOptions): unknown {
  if (options.signal?.aborted) return options.signal.reason
  if (!(cause instanceof RpcFailure)) return cause
  const { what = command, cid, local = true } = options
  return toStorageError(cause, { address, what, cid, local })
}
