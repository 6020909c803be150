import type { RunName } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'

import { whyTemplateVaries } from './gguf/chat-prompt.ts'
import { readGgufHeader } from './gguf/gguf-header.ts'

/** Where a model may have a chat template. */
const TEMPLATES: ReadonlySet<string> = new Set([
  'tokenizer_config.json',
  'processor_config.json',
  'chat_template.json',
  'chat_template.jinja',
])

const known = new WeakMap<OpenedModel, Promise<boolean>>()

/**
 * Whether a model is told what day it is, as those of Llama 3 are: its chat template calls `strftime_now`. Then the same input may
 * have another result tomorrow.
 *
 * @param isChat - A text that is no chat goes through no template.
 */
export async function isDated(task: RunName, isChat: boolean, model: OpenedModel): Promise<boolean> {
  if (!isChat && task !== 'image-text-to-text') return false
  const asked = known.get(model) ?? hasDatedTemplate(model)
  known.set(model, asked)
  try {
    return await asked
  } catch (error) {
    known.delete(model)
    throw error
  }
}

/**
 * The same of a GGUF, whose template is in its header.
 *
 * @param file - The first of its files.
 */
export async function isGgufDated(isChat: boolean, model: OpenedModel, file: string): Promise<boolean> {
  if (!isChat) return false
  const header = await readGgufHeader(model, file)
  return whyTemplateVaries(header.get('tokenizer.chat_template')) !== undefined
}

async function hasDatedTemplate(model: OpenedModel): Promise<boolean> {
  for (const { path } of model.files.filter((file) => TEMPLATES.has(file.path))) {
    const text = new TextDecoder().decode(await model.read(path))
    if (/strftime_now/.test(path.endsWith('.json') ? withoutEscapes(text) : text)) return true
  }
  return false
}

function withoutEscapes(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json))
  } catch {
    // Loading the model says that it is none.
    return json
  }
}
