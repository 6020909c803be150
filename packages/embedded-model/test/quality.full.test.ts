import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import { env, pipeline } from '@huggingface/transformers'
import type { FeatureExtractionPipeline } from '@huggingface/transformers'
import { beforeAll, describe, expect, it } from 'vitest'

// The quality gate: how close the shipped model is to the fp32 original, whose embeddings are recorded.
const LEAST_MEAN_COSINE = 0.98
const LEAST_SHARE_OF_TRIPLES = 0.97
const LARGEST_BATCH_DIFFERENCE = 1e-5
const DIMENSIONS = 384

interface Triple {
  anchor: string
  paraphrase: string
  distractor: string
}

const model = fileURLToPath(new URL('../model', import.meta.url))

async function readText(name: string): Promise<string> {
  return readFile(new URL(`../quality/${name}`, import.meta.url), 'utf8')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function textOf(row: unknown, key: string): string {
  const value = isRecord(row) ? row[key] : undefined
  if (typeof value !== 'string') throw new TypeError(`a row has no ${key}`)
  return value
}

async function readRows(name: string): Promise<unknown[]> {
  const rows: unknown = JSON.parse(await readText(name))
  if (!Array.isArray(rows)) throw new TypeError(`${name} is not a list`)
  return rows
}

async function readTriples(name: string): Promise<Triple[]> {
  const rows = await readRows(name)
  return rows.map((row) => ({
    anchor: textOf(row, 'anchor'),
    paraphrase: textOf(row, 'paraphrase'),
    distractor: textOf(row, 'distractor'),
  }))
}

async function readReference(): Promise<Float32Array[]> {
  const document: unknown = JSON.parse(await readText('reference.json'))
  const bytes = Buffer.from(textOf(document, 'embeddings'), 'base64')
  const values = Float32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
  return split(values)
}

function split(values: Float32Array): Float32Array[] {
  return Array.from({ length: values.length / DIMENSIONS }, (_, row) =>
    values.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS),
  )
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? Number.NaN), 0)
}

function at(embeddings: Float32Array[], index: number): Float32Array {
  const embedding = embeddings[index]
  if (!embedding) throw new RangeError(`there is no embedding ${index}`)
  return embedding
}

/** How many of the triples, whose embeddings follow one another, have the paraphrase nearer than the distractor. */
function countRight(embeddings: Float32Array[], triples: number): number {
  return Array.from({ length: triples }, (_, triple) => {
    const anchor = at(embeddings, 3 * triple)
    return dot(anchor, at(embeddings, 3 * triple + 1)) > dot(anchor, at(embeddings, 3 * triple + 2))
  }).filter(Boolean).length
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (b[index] ?? Number.NaN))), 0)
}

describe('the embedded model', () => {
  let extract: FeatureExtractionPipeline
  let sentences: string[]
  let paired: number
  let triples: Triple[]
  let plainTriples: Triple[]
  let reference: Float32Array[]
  let embeddings: Float32Array[]

  async function embed(texts: string[]): Promise<Float32Array[]> {
    const { data } = await extract(texts, { pooling: 'mean', normalize: true })
    if (!(data instanceof Float32Array)) throw new TypeError('embeddings are not fp32')
    return split(data)
  }

  beforeAll(async () => {
    env.allowRemoteModels = false
    env.allowLocalModels = true
    env.localModelPath = `${dirname(model)}/`
    env.fetch = (input) => Promise.reject(new Error(`the network was asked for ${String(input)}`))
    // No options: the model's own config.json has to lead to its file.
    extract = await pipeline('feature-extraction', basename(model))

    const pairs = await readRows('pairs.json')
    triples = await readTriples('triples.json')
    plainTriples = await readTriples('triples-plain.json')
    sentences = [
      ...pairs.flatMap((pair) => [textOf(pair, 'a'), textOf(pair, 'b')]),
      ...[...triples, ...plainTriples].flatMap((triple) => [triple.anchor, triple.paraphrase, triple.distractor]),
    ]
    paired = 2 * pairs.length
    reference = await readReference()
    embeddings = []
    for (const sentence of sentences) embeddings.push(...(await embed([sentence])))
  })

  it('has enough sentences, each with a recorded original', () => {
    expect(paired).toBeGreaterThanOrEqual(200)
    expect(triples.length).toBeGreaterThanOrEqual(60)
    expect(reference).toHaveLength(sentences.length)
    expect(embeddings).toHaveLength(sentences.length)
  })

  it('has nearly the embeddings of the original', () => {
    const cosines = embeddings.slice(0, paired).map((embedding, index) => dot(embedding, at(reference, index)))
    const mean = cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length
    const lowest = Math.min(...cosines)
    console.log(`mean cosine with the original ${mean.toFixed(5)}, lowest ${lowest.toFixed(5)} (${paired} sentences)`)
    expect(mean).toBeGreaterThanOrEqual(LEAST_MEAN_COSINE)
  })

  it('ranks paraphrases first about as often as the original', () => {
    const hard = paired + 3 * triples.length
    const sets = [
      { name: 'triples.json', start: paired, count: triples.length },
      { name: 'triples-plain.json', start: hard, count: plainTriples.length },
    ]
    for (const { name, start, count } of sets) {
      const right = countRight(embeddings.slice(start), count)
      const rightInOriginal = countRight(reference.slice(start), count)
      const share = right / rightInOriginal
      console.log(
        `${name}: paraphrase first in ${right} of ${count}, original ${rightInOriginal}, ` +
          `${(100 * share).toFixed(1)} % as often`,
      )
      expect(share).toBeGreaterThanOrEqual(LEAST_SHARE_OF_TRIPLES)
    }
  })

  it('gives a sentence the same embedding alone and in a padded batch', async () => {
    let difference = 0
    for (let start = 0; start < paired; start += 8) {
      const batch = await embed(sentences.slice(start, Math.min(start + 8, paired)))
      for (const [row, embedding] of batch.entries())
        difference = Math.max(difference, largestDifference(embedding, at(embeddings, start + row)))
    }
    console.log(`largest difference of a value in a padded batch of 8: ${difference}`)
    expect(difference).toBeLessThan(LARGEST_BATCH_DIFFERENCE)
  })
})
