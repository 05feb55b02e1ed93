-- Sends each prepared request once. Arguments: the file of requests; without one, GET / for ever.
local requests, sent = {}, 0

function init(args)
    local path = args[1]
    if not path then
        return
    end
    for line in io.lines(path) do
        local target, token, proof = line:match("^(%S+)\t(%S+)\t(%S+)$")
        requests[#requests + 1] = "GET " .. target .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n" ..
            "Authorization: DPoP " .. token .. "\r\nDPoP: " .. proof .. "\r\n\r\n"
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
