import { curlLine } from './curl-line.ts'
import type { OpenApiDocument } from './document.ts'
import type { JsonObject } from './json-schema.ts'
import { nameOf, objectIn, schemaText } from './schema-text.ts'

/** A page that needs nothing but itself. */
export interface DocumentPage {
  html: string
  /** What the browser is to be told of it: it may fetch nothing, and run nothing. */
  contentSecurityPolicy: string
}

interface Operation {
  id: string
  method: string
  path: string
  tags: readonly unknown[]
  /** Of which this is another path. */
  variantOf: unknown
  said: JsonObject
}

const STYLE = `:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
h2{margin-top:2rem}
details{border-top:1px solid #8886;padding:.3rem 0}
summary{cursor:pointer}
code,pre{font:.875rem/1.5 ui-monospace,monospace}
pre{overflow-x:auto;padding:.5rem;background:#8882;border-radius:.3rem}
dt{font-weight:600}dd{margin:0 0 .3rem 1rem}
b{display:inline-block;min-width:4rem}
a{color:LinkText}`

/** The document as a page to read, without scripts: by tag, each operation with its parameters, schemas, answers and a line for a shell. */
export async function documentPage(document: OpenApiDocument): Promise<DocumentPage> {
  const { info, tags, components } = document
  const operations = operationsOf(document)
  const sections = tags.map(({ name, description }) => {
    const own = operations.filter(({ tags: of, variantOf }) => of.includes(name) && variantOf === undefined)
    return `<section id=${quoted(name)}><h2>${escape(name)}</h2><p>${marked(description)}</p>${own.map((each) => operationHtml(each, operations)).join('')}</section>`
  })
  const schemas = Object.entries(objectIn(components['schemas'])).map(
    ([name, schema]) =>
      `<details id=${quoted(`s-${name}`)}><summary><code>${escape(name)}</code></summary><pre tabindex="0">${escape(schemaText(objectIn(schema)))}</pre></details>`,
  )
  const errors = Object.entries(Object.groupBy(Object.entries(objectIn(components['responses'])), reasonOf)).map(
    ([reason, named = []]) => `<dt>${escape(named.map(([name]) => name).join(', '))}<dd>${marked(reason)}`,
  )
  const links = [...tags.map(({ name }) => name), 'schemas', 'errors'].map(
    (name) => `<a href=${quoted(`#${name}`)}>${escape(name)}</a>`,
  )
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(info.title)}</title><link rel="icon" href="data:,"><style>${STYLE}</style></head><body>
<header><h1>${escape(info.title)} ${escape(info.version)}</h1><p>${marked(info.description)}</p>
<p>In lines for a shell <code>$HERE</code> is this server, as in <code>HERE=http://127.0.0.1:8000</code>, <code>$TOKEN</code> a token, and what is in capitals is for you to say. For programs there is <a href="openapi.json">openapi.json</a>.</p></header>
<nav aria-label="Parts">${links.join(' · ')}</nav><main>${sections.join('\n')}
<section id="schemas"><h2>schemas</h2>${schemas.join('')}</section>
<section id="errors"><h2>errors</h2><dl>${errors.join('')}</dl></section></main></body></html>
`
  const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${await digestOf(STYLE)}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  return { html, contentSecurityPolicy }
}

const reasonOf = ([, response]: readonly [string, unknown]): string => String(objectIn(response)['description'])

const operationsOf = ({ paths }: OpenApiDocument): Operation[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, said]): Operation => {
      const { operationId, tags, 'x-variant-of': variantOf } = said
      return { id: String(operationId), method, path, tags: Array.isArray(tags) ? tags : [], variantOf, said }
    }),
  )

function operationHtml({ id, method, path, said }: Operation, all: readonly Operation[]): string {
  const { summary, description, parameters, requestBody, responses } = said
  const variants = all.filter(({ variantOf }) => variantOf === id)
  const rows = [
    ...(typeof description === 'string' ? [`<p>${marked(description)}</p>`] : []),
    ...(variants.length === 0 ? [] : [`<p>Also: ${variants.map((each) => code(each.path)).join(', ')}</p>`]),
    `<dl>${(Array.isArray(parameters) ? parameters : []).map((each: unknown) => parameterHtml(objectIn(each))).join('')}${bodyHtml(objectIn(requestBody))}${responsesHtml(objectIn(responses))}</dl>`,
    `<pre tabindex="0">${escape(curlLine(method, path, said))}</pre>`,
  ]
  return `<details id=${quoted(id)}><summary><b>${method.toUpperCase()}</b>${code(path)} ${escape(String(summary))}</summary>${rows.join('')}</details>`
}

function parameterHtml({ name, in: place, description, schema, required }: JsonObject): string {
  const type = schemaText(objectIn(schema))
  const kind = [place, required === true ? 'wanted' : '', place === 'path' || type === 'string' ? '' : type]
  return `<dt>${code(String(name))}<dd>${escape(kind.filter(Boolean).join(', '))}: ${marked(String(description))}`
}

const bodyHtml = ({ content }: JsonObject): string =>
  content === undefined ? '' : `<dt>body<dd>${contentHtml(objectIn(content))}`

const contentHtml = (content: JsonObject): string =>
  Object.entries(content)
    .map(([type, media]) => {
      const { schema, 'x-event-schema': event, 'x-line-schema': line } = objectIn(media)
      const each = event ?? line
      const shown = each ?? schema
      if (shown === undefined) return escape(type)
      return `${type === 'application/json' ? '' : `${escape(type)}, `}${each === undefined ? '' : `each ${event === undefined ? 'line' : 'event'} `}${schemaHtml(objectIn(shown))}`
    })
    .join('; ')

function schemaHtml(schema: JsonObject): string {
  const { $ref } = schema
  if (typeof $ref !== 'string') return `<code>${escape(schemaText(schema).replaceAll(/\s+/g, ' '))}</code>`
  const name = nameOf($ref)
  return `<a href=${quoted(`#s-${name}`)}>${escape(name)}</a>`
}

/** What goes well, and which errors there are: what they mean stands once, at the end. */
function responsesHtml(responses: JsonObject): string {
  const entries = Object.entries(responses).map(([status, response]) => ({ status, response: objectIn(response) }))
  const good = entries.filter(({ response }) => response['$ref'] === undefined)
  const errors = entries.flatMap(({ response: { $ref } }) => (typeof $ref === 'string' ? [nameOf($ref)] : []))
  const [family = ''] = /^\D*/.exec(errors[0] ?? '') ?? []
  const named = [family, ...errors.map((name) => name.slice(family.length))].join(' ')
  const rows = good.map(
    ({ status, response }) =>
      `<dt>${status}<dd>${[escape(String(response['description'])), contentHtml(objectIn(response['content']))].filter(Boolean).join(': ')}`,
  )
  return `${rows.join('')}<dt>errors<dd>${escape(named)}`
}

const code = (text: string): string => `<code>${escape(text)}</code>`

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

const escape = (text: string): string => text.replaceAll(/[&<>]/g, (found) => ESCAPES[found] ?? '')

/** An attribute, with its quotes. */
const quoted = (text: string): string => `"${escape(text).replaceAll('"', '&quot;')}"`

/** A text in which backticks stand around what is code. */
const marked = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return btoa(String.fromCharCode(...new Uint8Array(digest)))
}
