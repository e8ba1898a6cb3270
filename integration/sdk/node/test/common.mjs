// What the programs share: the address, a client that is closed at the end, a seeded generator, exact neighbours.
import { randomUUID } from 'node:crypto';
import { MilvusClient } from '@zilliz/milvus2-sdk-node';

const strip = uri => uri.replace(/^https?:\/\//, '');
export const ADDRESS = strip(process.env.GYR_URI ?? '127.0.0.1:19530');
// A second proxy of the same cluster, when there is one.
export const ADDRESS2 = strip(process.env.GYR_URI2 ?? ADDRESS);

export const connect = (address = ADDRESS, more = {}) => new MilvusClient({ address, timeout: 30_000, ...more });

export const freshName = () => 't_' + randomUUID().replaceAll('-', '').slice(0, 12);

/** ok returns an answer whose status is Success and throws the server's words otherwise. */
export function ok(answer) {
  const status = answer.status ?? answer;
  if (status.error_code !== 'Success' || Number(status.code ?? 0) !== 0) {
    throw new Error(`code ${status.code} (${status.error_code}): ${status.reason}`);
  }
  return answer;
}

/** unit makes n seeded vectors of length 1. */
export function unit(n, dim, seed = 7) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Array.from({ length: n }, () => {
    const v = Array.from({ length: dim }, next);
    const norm = Math.hypot(...v);
    return v.map(x => x / norm);
  });
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** nearest answers the indexes of the k vectors with the largest inner product, best first. */
export const nearest = (vectors, query, k) =>
  vectors.map((v, i) => [dot(v, query), i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, k).map(p => p[1]);
