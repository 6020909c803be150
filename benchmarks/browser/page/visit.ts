/** What a visit is to do; the same for both pages. */
export interface Asked {
  device: 'webgpu' | 'wasm'
  /** `fill`: whatever a first visit stores. */
  visit: 'fill' | 'open' | 'speed'
  /** How many, one after another. */
  texts: number
  tokens: number
}

/** A page's way to run models. */
export interface Library {
  /** Puts models where the page finds them, in case that does not happen by itself. */
  fill(models: readonly Model[]): Promise<void>
  /** Resolves once the model is loaded. */
  embedder(model: Model, device: Asked['device']): Promise<(text: string) => Promise<ArrayLike<number>>>
  /** The text that is written, in pieces. */
  writer(model: Model, device: Asked['device']): Promise<(text: string, tokens: number) => Promise<string[]>>
}

export interface Model {
  name: string
  dtype: 'fp32' | 'q8'
  files: readonly string[]
}

export type Models = Readonly<Record<'wide' | 'embedder' | 'writer', Model>>

/** Times are in seconds. */
export interface Visited {
  evidence: Record<string, string>
  seconds: number
  figures: Record<string, number>
}

const now = (): number => performance.now() / 1000

// The text of a question among many, none twice.
const textOf = (index: number): string => `hello world, this is test ${index} of a model`

let longest = 0
// Tasks of 50 ms and more are all that a browser tells of. Those before this line are told of too.
const observer = new PerformanceObserver((list) => note(list.getEntries()))
observer.observe({ type: 'longtask', buffered: true })

function note(tasks: readonly PerformanceEntry[]): void {
  for (const { duration } of tasks) longest = Math.max(longest, duration / 1000)
}

/** Waits until the browser has told of everything that was. */
async function longestTask(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 100))
  note(observer.takeRecords())
  return longest
}

async function open({ wide }: Models, { device }: Asked, library: Library): Promise<Visited> {
  const embed = await library.embedder(wide, device)
  const seconds = now()
  const answer = await embed('hello world this is a test')
  const answered = now()
  return {
    evidence: { length: String(answer.length), answer: Number(answer[0]).toFixed(3) },
    seconds,
    figures: { answered, longest: await longestTask() },
  }
}

async function speed(models: Models, { device, texts, tokens }: Asked, library: Library): Promise<Visited> {
  const embed = await library.embedder(models.embedder, device)
  const write = await library.writer(models.writer, device)
  const seconds = now()
  const vector = await embed(textOf(0))
  await write('the quick', tokens)
  const begun = now()
  for (let index = 1; index <= texts; index += 1) await embed(textOf(index))
  const embedded = now()
  const pieces = await write('the quick', tokens)
  const written = now()
  const embedding = (embedded - begun) / texts
  const token = (written - embedded) / tokens
  return {
    evidence: { [`vector, ${device}`]: Number(vector[0]).toFixed(2), text: pieces.join('').trim() },
    seconds,
    figures: {
      embedding,
      token,
      embeddingsPerSecond: 1 / embedding,
      tokensPerSecond: 1 / token,
      longest: await longestTask(),
    },
  }
}

async function visit(library: Library): Promise<Visited> {
  const asked: Asked = JSON.parse(decodeURIComponent(location.hash.slice(1)))
  const models: Models = await (await fetch('/models/models.json')).json()
  if (asked.visit === 'open') return open(models, asked, library)
  if (asked.visit === 'speed') return speed(models, asked, library)
  await library.fill(Object.values(models))
  const opened = await open(models, asked, library)
  const { figures, ...measured } = await speed(models, { ...asked, texts: 1 }, library)
  return { ...measured, figures: { ...opened.figures, ...figures } }
}

/** What whoever opened the page waits for. */
export function run(library: Library): void {
  Reflect.set(globalThis, 'visited', visit(library))
}
