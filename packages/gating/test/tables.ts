import { CI_SERVICES, CI_VARIABLES, FEATURE_NAMES, FEATURES, GATE_VARIABLES } from '../src/index.ts'

const code = (text: string): string => `\`${text}\``
const list = (names: readonly string[]): string => names.map(code).join(' ')

/** The README's tables as the code has them, by the first cell of their head. */
export const TABLES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  feature: FEATURE_NAMES.map((name) => {
    const feature = FEATURES[name]
    const [needs, unreached] = feature.needs === 'none' ? ['none', ''] : [feature.needs, code(feature.unreached)]
    return [code(name), feature.what, code(feature.byDefault), code(feature.inCi), needs, unreached]
  }),
  variable: GATE_VARIABLES.map((variable) => [
    code(variable.name),
    variable.takes,
    list(variable.moves),
    variable.takes === 'position' ? 'the value' : code(variable.to),
  ]),
  service: [
    ...CI_SERVICES.map(({ name, variable }) => [name, code(variable)]),
    ...CI_VARIABLES.map((variable) => ['any', code(variable)]),
  ],
}
