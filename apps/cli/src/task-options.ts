import { parseOption, type ParamValue, type TaskName } from '@x/infer-core'
import { toVariant, type RunOptions } from '@x/infer-node'

import { textOption, textOptions, type OptionSpec, type Values } from './command.ts'
import { UsageError } from './usage-error.ts'

/** Of commands that run a model, or say what a run would be. */
export const OPTION: OptionSpec = {
  type: 'string',
  multiple: true,
  metavar: 'K=V',
  help: 'an option of the task; may be repeated',
}

export const DTYPE: OptionSpec = {
  type: 'string',
  metavar: 'D',
  help: 'which variant: of ONNX graphs q8 and the like, of GGUF files Q4_K_M and the like, or the name of one',
}

/**
 * What `--dtype` says.
 *
 * @throws {InvalidInputError} It is empty.
 */
export function dtypeOption(values: Values): RunOptions['dtype'] {
  const text = textOption(values, 'dtype')
  return text === undefined ? undefined : toVariant(text)
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
