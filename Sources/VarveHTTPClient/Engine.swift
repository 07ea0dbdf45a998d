// The thread that owns libcurl: one multi handle, its connections, and every transfer under way.
//
// Invariants: no libcurl function but `curl_multi_wakeup` is called from elsewhere; commands are taken in order; a
// transfer that was started is ended exactly once, also when the engine stops.

import CVarveCurl
import Glibc
import Synchronization

final class Engine: Sendable {
    enum Command {
        case start(Transfer)
        /// A paused direction has room or bytes again.
        case goOn(Transfer)
        case cancel(Transfer)
        case stop
    }

    private struct State {
        var commands: [Command] = []
        var isStopped = false
    }

    /// `@unchecked`: waking is thread-safe, everything else is done by the engine's thread.
    private struct Multi: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
    }

    private static let initialized: CURLcode = curl_global_init(Int(CURL_GLOBAL_SSL))

    private let multi: Multi
    private let state = Mutex(State())

    init(maxConnections: Int) throws(HTTPClientError) {
        guard Self.initialized == CURLE_OK, let pointer = curl_multi_init() else {
            throw .couldNotConnect("libcurl gave no handle")
        }
        varve_curl_multi_set_long(pointer, CURLMOPT_MAXCONNECTS, maxConnections)
        multi = Multi(pointer: pointer)
        var thread = pthread_t()
        let owner = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { owner in
                guard let owner else { return nil }
                Unmanaged<Engine>.fromOpaque(owner).takeRetainedValue().run()
                return nil
            }, owner.toOpaque())
        guard code == 0 else {
            owner.release()
            curl_multi_cleanup(pointer)
            throw .couldNotConnect(String(cString: strerror(code)))
        }
        pthread_detach(thread)
    }

    func submit(_ command: Command) {
        let isTooLate = state.withLock { state in
            if state.isStopped { return true }
            state.commands.append(command)
            // The thread takes all there are: one wake-up for the first of them.
            if state.commands.count == 1 { curl_multi_wakeup(multi.pointer) }
            return false
        }
        if isTooLate, case .start(let transfer) = command { transfer.ended(.failure(.cancelled)) }
    }

    // MARK: - The thread

    /// What only the thread touches.
    private final class Desk {
        var active: [ObjectIdentifier: Handle] = [:]
        var idle: [UnsafeMutableRawPointer] = []
    }

    /// A library's handle at work, and what must live as long.
    private struct Handle {
        let easy: UnsafeMutableRawPointer
        let transfer: Transfer
        var headers: UnsafeMutablePointer<curl_slist>?
        var body: UnsafeMutableRawPointer?
    }

    private static let idleHandlesMax = 64

    private func run() {
        let desk = Desk()
        var isStopping = false
        while !isStopping {
            let commands = state.withLock { state in
                let commands = state.commands
                state.commands = []
                return commands
            }
            for command in commands {
                switch command {
                case .start(let transfer): start(transfer, desk)
                case .goOn(let transfer):
                    if let handle = desk.active[ObjectIdentifier(transfer)] {
                        curl_easy_pause(handle.easy, varve_curl_continue)
                    }
                case .cancel(let transfer): end(transfer, .failure(.cancelled), desk)
                case .stop: isStopping = true
                }
            }
            var running: Int32 = 0
            curl_multi_perform(multi.pointer, &running)
            var code = CURLE_OK
            while let easy = varve_curl_multi_ended(multi.pointer, &code) {
                guard let owner = varve_curl_owner(easy) else { continue }
                let transfer = Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue()
                end(transfer, outcome(code, easy), desk)
            }
            if !isStopping { curl_multi_poll(multi.pointer, nil, 0, 10_000, nil) }
        }
        let late = state.withLock { state in
            state.isStopped = true
            let late = state.commands
            state.commands = []
            return late
        }
        for case .start(let transfer) in late { transfer.ended(.failure(.cancelled)) }
        for handle in Array(desk.active.values) { end(handle.transfer, .failure(.cancelled), desk) }
        for easy in desk.idle { curl_easy_cleanup(easy) }
        curl_multi_cleanup(multi.pointer)
    }

    private func end(_ transfer: Transfer, _ outcome: Result<Void, HTTPClientError>, _ desk: Desk) {
        guard let handle = desk.active.removeValue(forKey: ObjectIdentifier(transfer)) else { return }
        curl_multi_remove_handle(multi.pointer, handle.easy)
        if desk.idle.count < Self.idleHandlesMax {
            curl_easy_reset(handle.easy)
            desk.idle.append(handle.easy)
        } else {
            curl_easy_cleanup(handle.easy)
        }
        curl_slist_free_all(handle.headers)
        handle.body?.deallocate()
        transfer.ended(outcome)
    }

    private func start(_ transfer: Transfer, _ desk: Desk) {
        guard let easy = desk.idle.popLast() ?? curl_easy_init() else {
            transfer.ended(.failure(.couldNotConnect("libcurl gave no handle")))
            return
        }
        var handle = Handle(easy: easy, transfer: transfer, headers: nil, body: nil)
        configure(&handle)
        desk.active[ObjectIdentifier(transfer)] = handle
        let code = curl_multi_add_handle(multi.pointer, easy)
        if code != CURLM_OK {
            end(transfer, .failure(.couldNotConnect(String(cString: curl_multi_strerror(code)))), desk)
        }
    }

    private func configure(_ handle: inout Handle) {
        let easy = handle.easy
        let request = handle.transfer.request
        varve_curl_set_callbacks(
            easy, Self.receive, Self.receiveHeader, Self.send,
            Unmanaged.passUnretained(handle.transfer).toOpaque())
        varve_curl_set_text(easy, CURLOPT_URL, request.url)
        varve_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        // Nodes are asked directly, whatever the environment says about proxies.
        varve_curl_set_text(easy, CURLOPT_PROXY, "")
        varve_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        varve_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        varve_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Self.milliseconds(request.connectTimeout))
        if let timeout = request.timeout {
            varve_curl_set_long(easy, CURLOPT_TIMEOUT_MS, Self.milliseconds(timeout))
        }

        var hasType = false
        for (name, value) in request.headers {
            if name.lowercased() == "content-type" { hasType = true }
            // An empty value would make libcurl drop the header; a semicolon in place of the colon sends it empty.
            handle.headers = curl_slist_append(handle.headers, value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        // Waiting for "100 Continue" costs a round trip, or a second.
        handle.headers = curl_slist_append(handle.headers, "Expect:")

        switch request.body {
        case .none:
            if request.method == "HEAD" {
                varve_curl_set_long(easy, CURLOPT_NOBODY, 1)
            } else if request.method == "POST" || request.method == "PUT" {
                varve_curl_set_bytes(easy, "", 0)
            }
        case .bytes(let bytes):
            let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
            bytes.withUnsafeBytes {
                copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: $0.count)
            }
            handle.body = copy
            varve_curl_set_bytes(easy, copy, bytes.count)
        case .stream(let length, _):
            varve_curl_set_long(easy, CURLOPT_UPLOAD, 1)
            varve_curl_set_size(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(length ?? -1))
        }
        // libcurl would call every POST a form.
        if !hasType { handle.headers = curl_slist_append(handle.headers, "Content-Type:") }
        if request.method != "HEAD" { varve_curl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method) }
        varve_curl_set_pointer(easy, CURLOPT_HTTPHEADER, handle.headers)
    }

    private static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        // Zero would mean the library's default.
        return max(1, Int(clamping: min(seconds, 1_000_000)) * 1_000 + Int(attoseconds / 1_000_000_000_000_000))
    }

    private func outcome(_ code: CURLcode, _ easy: UnsafeMutableRawPointer) -> Result<Void, HTTPClientError> {
        let reason = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_OK: return .success(())
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: return .failure(.badRequest(reason))
        case CURLE_OPERATION_TIMEDOUT where varve_curl_request_bytes(easy) > 0: return .failure(.timedOut)
        default:
            // Not a byte of the header went out: resolving, connecting or the handshake failed.
            return .failure(varve_curl_request_bytes(easy) > 0 ? .brokenOff(reason) : .couldNotConnect(reason))
        }
    }

    // MARK: - The library's callbacks

    private static let receive: varve_curl_data_callback = { bytes, size, count, owner in
        guard let bytes, let owner else { return 0 }
        return Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue().received(piece(bytes, size * count))
    }

    private static let receiveHeader: varve_curl_data_callback = { bytes, size, count, owner in
        guard let bytes, let owner else { return 0 }
        Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue().receivedHeader(piece(bytes, size * count))
        return size * count
    }

    private static let send: varve_curl_data_callback = { buffer, size, count, owner in
        guard let buffer, let owner else { return varve_curl_read_abort }
        return Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue().send(into: buffer, size * count)
    }

    private static func piece(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: UnsafeRawPointer(bytes).assumingMemoryBound(to: UInt8.self), count: count)
    }
}
