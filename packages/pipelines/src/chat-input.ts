import { toChatMessage, toToolText, type CanonicalInput, type ChatMessage } from '@x/infer-core'

import { bytesIn, type Reserve } from './input-bytes.ts'

/**
 * A list of messages, or `{ messages, tools }`. `undefined`: it is neither.
 *
 * @param reserve - Told of what lies too deep in it to have been counted.
 * @throws {InvalidInputError} Tools, or calls of them, that are none.
 */
export function readChat(input: unknown, reserve: Reserve): CanonicalInput | undefined {
  const parts = Array.isArray(input) ? { messages: input, tools: [] } : partsOf(input)
  if (parts === undefined) return undefined
  const messages: ChatMessage[] = []
  for (const given of parts.messages) {
    const message = toChatMessage(given)
    if (message === undefined) return undefined
    messages.push(message)
  }
  if (messages.length === 0) return undefined
  const tools = parts.tools.map((tool) => toToolText(tool))
  const calls = messages.flatMap(({ tool_calls: all = [] }) => all.map((call) => call.function))
  const deep = bytesIn(tools) + bytesIn(calls)
  if (deep > 0) reserve(deep)
  return { kind: 'chat', messages, ...(tools.length > 0 && { tools }) }
}

function partsOf(input: unknown): { messages: unknown[]; tools: unknown[] } | undefined {
  if (typeof input !== 'object' || input === null || !('messages' in input)) return undefined
  const { messages, tools = [], ...others }: { messages: unknown; tools?: unknown } = input
  if (!Array.isArray(messages) || !Array.isArray(tools) || Object.keys(others).length > 0) return undefined
  return { messages, tools }
}
