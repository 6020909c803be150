import { InvalidInputError } from '@x/cid'
import { parseTool, type CanonicalInput, type ChatMessage, type ChatTool } from '@x/infer-core'

type Chat = Extract<CanonicalInput, { kind: 'chat' }>

/** What a template is given of a chat. */
interface TemplateChat {
  messages: { role: string; content: string }[]
  tools: ChatTool[] | undefined
}

/** Arguments of calls as values, for templates write them down as JSON themselves. */
export const toTemplateChat = ({ messages, tools }: Chat): TemplateChat => ({
  messages: messages.map((message) => toTemplateMessage(message)),
  tools: tools?.map((tool) => parseTool(tool)),
})

function toTemplateMessage({ tool_calls: calls, ...message }: ChatMessage): { role: string; content: string } {
  if (calls === undefined) return message
  const tool_calls = calls.map(({ function: { name, arguments: text }, ...call }) => {
    const given: unknown = JSON.parse(text)
    return { ...call, function: { name, arguments: given } }
  })
  const made = { ...message, tool_calls }
  return made
}

/**
 * What a template does not mention it would leave out without a word.
 *
 * @param label - What messages call the model.
 * @throws {InvalidInputError} The chat has tools, or calls of them, and the template takes none.
 */
export function assertTakesTools(template: string, { messages, tools }: Chat, label: string): void {
  if (tools !== undefined && !/\btools\b/.test(template)) throw refusal(label, 'tools')
  const hasCalls = messages.some((message) => message.tool_calls !== undefined)
  if (hasCalls && !/\btool_calls\b/.test(template)) throw refusal(label, 'calls of tools (tool_calls)')
}

const refusal = (label: string, what: string): InvalidInputError =>
  new InvalidInputError(`the template for chats of ${label} takes no ${what}`, { input: 'tools' })
