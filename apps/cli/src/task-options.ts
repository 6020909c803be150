import { parseOption, type ParamValue, type TaskName } from '@x/infer-core'

import { textOptions, type OptionSpec, type Values } from './command.ts'
import { UsageError } from './usage-error.ts'

/** Of commands that run a model, or say what a run would be. */
export const OPTION: OptionSpec = {
  type: 'string',
  multiple: true,
  metavar: 'K=V',
  help: 'an option of the task; may be repeated',
}

/**
 * What `--option` says.
 *
 * @throws {UsageError} It is not of the form key=value. @throws {InvalidInputError} The task has none of that name, or takes no such value.
 */
export function taskOptions(task: TaskName, values: Values): Record<string, ParamValue> {
  return Object.fromEntries(
    textOptions(values, 'option').map((text) => {
      const equals = text.indexOf('=')
      if (equals < 1) throw new UsageError(`--option ${text} is not of the form key=value`)
      const key = text.slice(0, equals)
      return [key, parseOption(task, key, text.slice(equals + 1))]
    }),
  )
}
