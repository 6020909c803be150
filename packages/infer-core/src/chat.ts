import { InvalidInputError } from '@x/cid'

import { fieldsOf } from './fields-of.ts'

/** That a model called a tool. */
export type ToolCall = {
  id?: string | undefined
  type: 'function'
  /** `arguments` is JSON: in which order its keys are counts, for a template writes them so. */
  function: { name: string; arguments: string }
}

/** A message of a chat; what belongs to tools as OpenAI's API has it. */
export interface ChatMessage {
  role: string
  content: string
  name?: string | undefined
  /** Of role `tool`: what the call gave that has this id. */
  tool_call_id?: string | undefined
  /** Of role `assistant`. */
  tool_calls?: readonly ToolCall[] | undefined
}

/** A tool that a model may call; `parameters` is a JSON Schema. What else is in it goes to the template as well. */
export type ChatTool = {
  type: 'function'
  function: { name: string; description?: string | undefined; parameters?: unknown }
}

/** A chat with the tools that the model may call in it. */
export interface ToolChat {
  messages: readonly ChatMessage[]
  /** None is as good as absent. */
  tools?: readonly ChatTool[] | undefined
}

/**
 * A message as it is identified, with nothing in it that is none of a message. `undefined`: it is none, without role or content.
 *
 * @throws {InvalidInputError} What belongs to tools is not as it should be.
 */
export function toChatMessage(value: unknown): ChatMessage | undefined {
  const { role, content, name, tool_call_id, tool_calls } = fieldsOf(value)
  if (typeof role !== 'string' || typeof content !== 'string') return undefined
  return {
    role,
    content,
    ...(isGiven(name) && { name: textOf('name', name) }),
    ...(isGiven(tool_call_id) && { tool_call_id: textOf('tool_call_id', tool_call_id) }),
    ...(isGiven(tool_calls) && { tool_calls: toToolCalls(tool_calls) }),
  }
}

function toToolCalls(value: unknown): ToolCall[] {
  if (!Array.isArray(value) || value.length === 0) throw refusal('tool_calls is no list of calls')
  return value.map((call: unknown) => {
    const { id, type, function: called } = fieldsOf(call)
    const { name, arguments: given } = fieldsOf(called)
    if (type !== 'function') throw refusal('a tool call is not of the type function')
    const own = { name: textOf('the name of a tool call', name), arguments: toArguments(given) }
    return { ...(isGiven(id) && { id: textOf('the id of a tool call', id) }), type, function: own }
  })
}

function toArguments(given: unknown): string {
  const what = 'the arguments of a tool call'
  return toJsonText(what, fromJson(what, textOf(what, given)))
}

/**
 * A tool as it is identified: its JSON, in which the order of keys counts, for a template writes them so.
 *
 * @throws {InvalidInputError} It is none.
 */
export function toToolText(value: unknown): string {
  const text = toJsonText('a tool', value)
  parseTool(text)
  return text
}

/**
 * The tool of `toToolText`.
 *
 * @throws {InvalidInputError} It is none.
 */
export function parseTool(text: string): ChatTool {
  const value = fromJson('a tool', text)
  if (isTool(value)) return value
  throw refusal('a tool is not { type: function, function: { name, … } }')
}

function isTool(value: unknown): value is ChatTool {
  const { type, function: own } = fieldsOf(value)
  const { name, description } = fieldsOf(own)
  const isDescribed = description === undefined || typeof description === 'string'
  return type === 'function' && typeof name === 'string' && name !== '' && isDescribed
}

function fromJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw refusal(`${what} is no JSON`, cause)
  }
}

function toJsonText(what: string, value: unknown): string {
  try {
    const text: unknown = JSON.stringify(value)
    if (typeof text === 'string') return text
  } catch (cause) {
    throw refusal(`${what} cannot be written as JSON`, cause)
  }
  throw refusal(`${what} cannot be written as JSON`)
}

/** Clients write null for what they leave out. */
const isGiven = (value: unknown): boolean => value !== undefined && value !== null

function textOf(what: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw refusal(`${what} is no text`)
}

const refusal = (why: string, cause?: unknown): InvalidInputError =>
  new InvalidInputError(`chat: ${why}`, { input: 'chat', cause })
