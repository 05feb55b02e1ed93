-- Sends each prepared request once. Arguments: the file of requests; without one, GET / for ever.
-- A line is a request: method, target, body and header fields, with tabs between them.
local requests, sent = {}, 0

local function prepared(line)
    local parts = {}
    for part in (line .. "\t"):gmatch("([^\t]*)\t") do
        parts[#parts + 1] = part
    end
    local headers = {}
    for number = 4, #parts do
        local name, value = parts[number]:match("^(%S+): (.*)$")
        headers[name] = value
    end
    local body = parts[3] ~= "" and parts[3] or nil
    return wrk.format(parts[1], parts[2], headers, body)
end

function init(args)
    local path = args[1]
    if not path then
        return
    end
    for line in io.lines(path) do
        requests[#requests + 1] = prepared(line)
    end
end

function request()
    if #requests == 0 then
        return wrk.format("GET", "/")
    end
    sent = sent + 1
    -- A request too many is sent again, refused as a replay, and fails the run.
    return requests[math.min(sent, #requests)]
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}\n',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
