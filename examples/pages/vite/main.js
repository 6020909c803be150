// Ranks texts by how near in meaning they are to a question, with a model that this page keeps.
import { createEngine } from '@x/infer-web'
import { gatewaySource, openStorage, pullModel } from '@x/web'

// Of https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2: any other content address of a model for this task does.
const MODEL = 'ipfs://bafybeia35hmjxmwmalwquywfpgpkaqabzr4445rkg4vdd7xaxu3kxcqcgq'
// A gateway that has it, such as `ipfs-accelerate serve`: it is asked on the first visit alone, and not trusted.
const gateway = new URLSearchParams(location.search).get('gateway') ?? location.origin

const engine = createEngine({
  worker: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
})
const show = (id, text) => void (document.querySelector(id).textContent = text)

async function keepModel() {
  const storage = await openStorage()
  await pullModel(storage, MODEL, {
    sources: [gatewaySource(gateway)],
    onProgress: ({ total }) => show('#status', `${total.loaded} of ${total.size} bytes`),
  })
  await storage.close()
}

const embed = (text) => engine.run('feature-extraction', MODEL, text, { options: { pooling: 'mean', normalize: true } })

async function search(query, texts) {
  const asked = await embed(query)
  const ranking = []
  for (const text of texts) {
    const { output } = await embed(text)
    ranking.push({ text, score: output.data.reduce((sum, value, i) => sum + value * asked.output.data[i], 0) })
  }
  return { ranking: ranking.toSorted((a, b) => b.score - a.score), receipt: asked.receipt }
}

async function answer(form) {
  show('#status', 'Getting the model')
  await keepModel()
  show('#status', 'Searching')
  const texts = form.texts.value.split('\n').filter((text) => text.trim() !== '')
  const { ranking, receipt } = await search(form.query.value, texts)
  const rows = ranking.map(({ text, score }) => {
    const row = document.createElement('li')
    row.textContent = `${score.toFixed(4)} ${text}`
    return row
  })
  document.querySelector('#ranking').replaceChildren(...rows)
  const { model, executionProvider, runtime, output } = receipt
  show('#receipt', `${model} on ${executionProvider} by ${runtime.name} ${runtime.version} gave ${output}`)
  show('#status', 'Done')
}

document.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault()
  answer(event.target).catch((error) => show('#status', `Failed: ${error.message}`))
})
