import { Template } from '@huggingface/jinja'
import { InvalidInputError } from '@x/cid'
import type { CanonicalInput } from '@x/infer-core'
import { assertTakesTools, messageOf, toTemplateChat } from '@x/pipelines/parts'

export interface ChatTokens {
  bos: string | null
  eos: string | null
}

/**
 * The text that a chat becomes for a model, by the template that its file has, as transformers.js fills it in.
 *
 * @param label - What messages call the model.
 * @throws {InvalidInputError} The file has no template, or the template refuses the chat.
 */
export function chatPrompt(
  template: unknown,
  chat: Extract<CanonicalInput, { kind: 'chat' }>,
  { bos, eos }: ChatTokens,
  label: string,
): string {
  if (typeof template !== 'string') {
    throw new InvalidInputError(`${label} has no template for chats; give it a text`, { input: 'chat' })
  }
  assertTakesTools(template, chat, label)
  const { messages, tools } = toTemplateChat(chat)
  try {
    return new Template(template).render({
      messages,
      add_generation_prompt: true,
      ...(tools && { tools }),
      ...(bos !== null && { bos_token: bos }),
      ...(eos !== null && { eos_token: eos }),
    })
  } catch (cause) {
    const why = messageOf(cause)
    throw new InvalidInputError(`the template for chats of ${label} refuses this one: ${why}`, { input: 'chat', cause })
  }
}

/** Why the same chat may become another text each time; `undefined`: it does not. */
export const whyTemplateVaries = (template: unknown): string | undefined =>
  typeof template === 'string' && template.includes('strftime_now')
    ? 'its template for chats puts the date into them'
    : undefined
