import { openFsStore } from '@x/backend-fs'
import { createEngine } from '@x/infer-node'
import { openModel } from '@x/model-loader'

// Closes an engine that has yet to hear that the run has ended of which it has all answers, as of a thread that had to wait for
// a processor, and says so.
const [directory = '', reference = ''] = process.argv.slice(2)
let isLate = false
process.on('worker', (worker) => {
  /** Of each run what came of some of its inputs: it is heard when all is there, so that the end of the run is what is late. */
  const told = new Map<unknown, (() => boolean)[]>()
  const emit = worker.emit.bind(worker)
  const terminate = worker.terminate.bind(worker)
  let late: (() => boolean) | undefined
  worker.emit = (name: string | symbol, ...args: unknown[]): boolean => {
    const deliver = (): boolean => emit(name, ...args)
    const { kind, id }: { kind?: unknown; id?: unknown } = Object(args[0])
    if (kind === 'ran') {
      told.set(id, [...(told.get(id) ?? []), deliver])
      return true
    }
    const answers = told.get(id)
    if (kind !== 'result' || answers === undefined) return deliver()
    late = deliver
    for (const answer of answers) answer()
    return true
  }
  worker.terminate = () => {
    const ended = terminate()
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
