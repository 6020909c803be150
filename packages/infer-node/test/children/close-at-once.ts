import { openFsStore } from '@x/backend-fs'
import { createEngine } from '@x/infer-node'
import { openModel } from '@x/model-loader'

// Closes an engine that has yet to hear that the run has ended of which it has all answers, as of a thread that had to wait for
// a processor, and says so.
const [directory = '', reference = ''] = process.argv.slice(2)
let isLate = false
process.on('worker', (worker) => {
  const told = new Set<unknown>()
  const emit = worker.emit.bind(worker)
  const terminate = worker.terminate.bind(worker)
  let isEnding = false
  let late: (() => boolean) | undefined
  worker.emit = (name: string | symbol, ...args: unknown[]): boolean => {
    const deliver = (): boolean => emit(name, ...args)
    const { kind, id }: { kind?: unknown; id?: unknown } = Object(args[0])
    if (kind === 'ran') told.add(id)
    if (kind !== 'result' || !told.has(id)) return deliver()
    if (isEnding) isLate = true
    else late = deliver
    return isEnding ? deliver() : true
  }
  worker.terminate = () => {
    const ended = terminate()
    isEnding = true
    if (late) isLate = late()
    return ended
  }
})
const store = await openFsStore({ directory })
const model = await openModel(store, reference)
const engine = createEngine({ batch: { maxTokens: 16 } })
await engine.load('feature-extraction', model)
const texts = Array.from({ length: 24 }, (_, index) => 'a '.repeat(1 + (index % 12)))
await Promise.all(texts.map((text) => engine.run('feature-extraction', model, text)))
await engine.close({ drain: false })
await store.close()
process.stdout.write(`closed, and ${isLate ? 'a result was' : 'no result was'} late\n`)
