import { createEngine, type Engine } from '@x/infer-web'
import { addModel, openStorage } from '@x/web'

import { run, type Asked, type Model } from './visit.ts'

type Node =
  | { type: 'file'; open: () => AsyncIterable<Uint8Array> }
  | { type: 'directory'; entries: () => [string, Node][] }

async function* bytesOf(url: string): AsyncGenerator<Uint8Array> {
  const { body, ok, status } = await fetch(url)
  if (!ok || !body) throw new Error(`${url}: ${status}`)
  const reader = body.getReader()
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
}

/** A model's folder on the server. */
function directory(base: string, files: readonly string[]): Extract<Node, { type: 'directory' }> {
  const names = new Set(files.map((file) => file.split('/')[0] ?? ''))
  return {
    type: 'directory',
    entries: () =>
      Array.from(names, (name): [string, Node] => {
        const inside = files.filter((file) => file.startsWith(`${name}/`)).map((file) => file.slice(name.length + 1))
        if (inside.length > 0) return [name, directory(`${base}${name}/`, inside)]
        return [name, { type: 'file', open: () => bytesOf(`${base}${name}`) }]
      }),
  }
}

/** By content: a name is looked up anew each time, which opens the model. */
const referenceOf = ({ name }: Model): string => localStorage.getItem(name) ?? name

const opened: { engine?: Engine } = {}
const engineOn = (device: Asked['device']): Engine =>
  (opened.engine ??= createEngine({
    worker: () => new Worker(new URL('worker.ts', import.meta.url), { type: 'module' }),
    providers: { require: device },
  }))

run({
  async fill(models) {
    const storage = await openStorage()
    for (const { name, files } of models) {
      const { cid } = await addModel(storage, directory(`/models/${name}/`, files), { name })
      localStorage.setItem(name, `ipfs://${cid}`)
    }
    await storage.close()
  },
  async embedder(model, device) {
    const [on, reference, { dtype }] = [engineOn(device), referenceOf(model), model]
    await on.load('feature-extraction', reference, { dtype })
    return async (text) => {
      const options = { pooling: 'mean', normalize: true }
      const { output } = await on.run('feature-extraction', reference, text, { dtype, options })
      return firstRow(output)
    }
  },
  async writer(model, device) {
    const [on, reference, { dtype }] = [engineOn(device), referenceOf(model), model]
    await on.load('text-generation', reference, { dtype })
    return async (text, tokens) => {
      const pieces: string[] = []
      const options = { max_new_tokens: tokens }
      await on.run('text-generation', reference, text, { dtype, options, onText: (piece) => void pieces.push(piece) })
      return pieces
    }
  },
})

function firstRow({ data }: { data: ArrayLike<number | bigint> }): number[] {
  return Array.from(data, Number)
}
