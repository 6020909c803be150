import type { JsonObject } from './json-schema.ts'
import { objectIn } from './schema-text.ts'

/** How an operation is asked in a shell, where `$HERE` is the server and `$TOKEN` a token; what varies in its path is in capitals. */
export function curlLine(method: string, path: string, operation: JsonObject): string {
  const { parameters, requestBody, security } = operation
  const content = objectIn(objectIn(requestBody)['content'])
  return [
    'curl',
    ...(method === 'get' || (method === 'post' && requestBody !== undefined) ? [] : ['-X', method.toUpperCase()]),
    `"$HERE${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())}${queryOf(parameters)}"`,
    ...(security === undefined ? [] : ['-H "authorization: Bearer $TOKEN"']),
    ...bodyOf(content),
  ].join(' ')
}

function queryOf(parameters: unknown): string {
  const given = (Array.isArray(parameters) ? parameters : []).flatMap((each: unknown) => {
    const { in: place, name, example } = objectIn(each)
    return place === 'query' && typeof example === 'string' ? [`${String(name)}=${example}`] : []
  })
  return given.length === 0 ? '' : `?${given.join('&')}`
}

function bodyOf(content: JsonObject): string[] {
  const [first] = Object.keys(content)
  if (first === undefined) return []
  const { example } = objectIn(content[first])
  const data =
    example === undefined ? '--data-binary @FILE' : `-d '${JSON.stringify(example).replaceAll("'", String.raw`'\''`)}'`
  return [`-H 'content-type: ${first}'`, data]
}
