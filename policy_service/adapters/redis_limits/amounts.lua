-- Amounts. Stands above every script that counts.
--
-- Lua counts with doubles, so an amount is two whole numbers: `n`, and millionths `p`. Of money `n`
-- is micro-dollars and `p` the pico-dollars left over, see pico_usd.py; of requests and tokens `p`
-- is 0. As text it is one number, `12345678.901234` or `42`.

local MILLION = 1000000
local ZERO = { n = 0, p = 0 }

local function amount(text)
  if not text then
    return ZERO
  end
  local point = string.find(text, '.', 1, true)
  if not point then
    return { n = tonumber(text), p = 0 }
  end
  return { n = tonumber(string.sub(text, 1, point - 1)), p = tonumber(string.sub(text, point + 1)) }
end

local function text(a)
  if a.p == 0 then
    return string.format('%.0f', a.n)
  end
  return string.format('%.0f.%06.0f', a.n, a.p)
end

local function sum(a, b)
  local p = a.p + b.p
  if p >= 0 and p < MILLION then
    return { n = a.n + b.n, p = p }
  end
  local carry = math.floor(p / MILLION)
  return { n = a.n + b.n + carry, p = p - carry * MILLION }
end

local function difference(a, b)
  return sum(a, { n = -b.n, p = -b.p })
end

local function exceeds(a, b)
  return a.n > b.n or (a.n == b.n and a.p > b.p)
end

local function is_zero(a)
  return a.n == 0 and a.p == 0
end

local function above_zero(a)
  return exceeds(a, ZERO) and a or ZERO
end

-- What a call takes, by what a limit counts.
local function amounts(requests, input, output, usd)
  local taken = { requests = amount(requests), input_tokens = amount(input),
    output_tokens = amount(output), usd = amount(usd) }
  taken.tokens = sum(taken.input_tokens, taken.output_tokens)
  return taken
end
