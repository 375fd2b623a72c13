'use strict';

// Who answered: what the response to the upgrade gives away about the machines on the way.

const { harmless } = require('../terminal.js');

/** Headers by which servers and proxies introduce themselves. */
const TELLING = /^(?:server|via|x-powered-by|cf-ray|x-amz-cf-id|x-amz-cf-pop|x-amzn-trace-id|x-azure-ref|x-served-by|x-cache|x-envoy-.*|fly-request-id|x-render-origin-server|x-vercel-id|x-railway-.*|alt-svc|x-forwarded-.*|ferrows|uwebsockets)$/i;

/** Products of the table of docs/load-balancers.md, by what their responses contain: `[header, value, product]`. */
const SIGNS = [
  ['server', /^cloudflare/i, 'Cloudflare'],
  ['cf-ray', /./, 'Cloudflare'],
  ['server', /nginx|openresty|tengine/i, 'nginx'],
  ['server', /^awselb/i, 'AWS Application Load Balancer'],
  ['set-cookie', /^AWSALB(?:APP|CORS|TG|TGCORS)?(?:-\d)?=/i, 'AWS Application Load Balancer'],
  ['via', /heroku-router|vegur/i, 'Heroku'],
  ['server', /^heroku/i, 'Heroku'],
  ['via', /\bgoogle\b/i, 'Google Cloud Application Load Balancer'],
];

/** `{ headers, products }`: the telling headers as `[name, value]`, and products of the table that have answered. */
function respondersIn(headers) {
  const products = SIGNS
    .filter(([name, value]) => headers.some(([header, text]) => header.toLowerCase() === name && value.test(text)))
    .map(([, , product]) => product);
  return {
    headers: headers.filter(([name]) => TELLING.test(name)).map(([name, value]) => [harmless(name, 40), harmless(value, 80)]),
    products: [...new Set(products)],
  };
}

module.exports = { respondersIn, SIGNS };
