import type { CanonicalInput } from '@x/infer-core'

import { assertTakesTools, toTemplateChat } from './chat-template.ts'
import type { LoadedPipeline } from './load-pipeline.ts'
import { fieldsOf } from './model-json.ts'

/**
 * What the library is given of a chat.
 *
 * @throws {InvalidInputError} The chat has tools, or calls of them, and the model's template takes none.
 */
export function chatArguments(
  tokenizer: LoadedPipeline['tokenizer'],
  chat: Extract<CanonicalInput, { kind: 'chat' }>,
): { messages: object[]; options: { tools?: object[] } } {
  const { messages, tools } = toTemplateChat(chat)
  const template = templateOf(tokenizer?.chat_template, tools !== undefined)
  // Of one without any the library says so.
  if (template !== undefined) assertTakesTools(template, chat, 'the model')
  return { messages, options: tools ? { tools } : {} }
}

/** The one that the library takes: of several, that for tools where there are any. */
function templateOf(templates: unknown, hasTools: boolean): string | undefined {
  if (typeof templates === 'string') return templates
  const { tool_use: ofTools, default: ofOthers } = fieldsOf(templates)
  const template = (hasTools ? ofTools : undefined) ?? ofOthers
  return typeof template === 'string' ? template : undefined
}
