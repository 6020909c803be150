import type { Tensor } from '@x/model-formats'

/** The path in the model of the file that an external tensor lies in; `undefined`: in the graph itself. */
export function dataFileOf(graph: string, { file }: Pick<Tensor, 'file'>): string | undefined {
  return file === undefined ? undefined : `${graph.slice(0, graph.lastIndexOf('/') + 1)}${file}`
}
