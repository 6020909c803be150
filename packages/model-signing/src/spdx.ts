/**
 * SPDX identifiers of the licences that models carry, by their lower-case form, which is how hubs write them.
 * `GPL-3.0` and the like say neither `only` nor `or-later`; SPDX calls them deprecated and keeps them, and hubs write nothing else.
 *
 * @see https://spdx.org/licenses/
 */
const SPDX: ReadonlyMap<string, string> = new Map(
  [
    '0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear',
    'BSL-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0',
    'CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDLA-Permissive-1.0',
    'CDLA-Permissive-2.0 CDLA-Sharing-1.0 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.3-only GPL-2.0-only GPL-2.0-or-later',
    'GPL-3.0-only GPL-3.0-or-later ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later LPPL-1.3c MIT MIT-0 MPL-2.0',
    'etalab-2.0 AGPL-3.0 GPL-2.0 GPL-3.0 LGPL-2.1 LGPL-3.0 OpenMDW-1.0',
    'MS-PL NCSA ODbL-1.0 ODC-By-1.0 OFL-1.1 OSL-3.0 PDDL-1.0 PostgreSQL Python-2.0 Unlicense UPL-1.0 WTFPL Zlib',
  ]
    .flatMap((line) => line.split(' '))
    .map((id) => [id.toLowerCase(), id]),
)

/** A licence as CycloneDX has it. */
export type LicenceChoice = { license: { id: string } } | { license: { name: string } }

/** One of a list: its SPDX identifier where there is one, the name that was given otherwise. */
export function licenceOf(text: string): LicenceChoice {
  const id = SPDX.get(text.toLowerCase())
  return id === undefined ? { license: { name: text } } : { license: { id } }
}

/** A SPDX expression over known identifiers, `apache-2.0 OR mit`, in its proper spelling; `undefined` for anything else. */
export function expressionOf(text: string): string | undefined {
  const words = text.replaceAll(/[()]/g, ' $& ').split(' ').filter(Boolean)
  let depth = 0
  let wantsId = true
  const proper: string[] = []
  for (const word of words) {
    const isOperator = /^(?:AND|OR)$/.test(word)
    const id = SPDX.get(word.toLowerCase())
    if (word === '(' && wantsId) depth++
    else if (word === ')' && !wantsId && depth > 0) depth--
    else if (isOperator !== wantsId && (isOperator || id !== undefined)) wantsId = isOperator
    else return undefined
    proper.push(id ?? word)
  }
  if (wantsId || depth > 0 || proper.length < 2) return undefined
  return proper.join(' ').replaceAll('( ', '(').replaceAll(' )', ')')
}
