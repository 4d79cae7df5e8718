import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { Tensor } from '../../../export/graph/tensor.js';

/** Eigenvalues of a symmetric matrix, largest first, with their eigenvectors as columns. */
export interface Spectrum {
  readonly values: Float64Array;
  /** [d, d], column i belongs to value i. */
  readonly vectors: Matrix;
}

/** All eigenvalues and eigenvectors of a symmetric matrix [d, d]. */
export function spectrumOf(symmetric: Matrix): Spectrum {
  const found = new EigenvalueDecomposition(symmetric, { assumeSymmetric: true });
  const order = found.realEigenvalues.map((_, i) => i).reverse();
  return {
    values: Float64Array.from(order, (i) => found.realEigenvalues[i]!),
    vectors: found.eigenvectorMatrix.subMatrixColumn(order),
  };
}

/** A matrix of a graph as one of the library. */
export const matrixOf = ({ dims, data }: Tensor): Matrix =>
  Matrix.from1DArray(dims[0]!, dims[1]!, data as Float64Array as unknown as number[]);
