/// What the command line asks for.

import VarveSimulation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

let usage = """
    usage: varve-simulate [--seed N] [--seeds COUNT | --minutes M] [--events N] [--jobs J]
                          [--without FAULT,…] [--omit FAULT:NUMBER,…] [--trace] [--no-shrink] [--first]

      --seed N        the first seed (1)
      --seeds COUNT   how many (1)
      --minutes M     as many as that many minutes hold
      --events N      events of each run before everything is mended (20000)
      --jobs J        runs at a time (1)
      --without …     kinds of faults that do not happen
      --omit …        single hits that do not happen, as a shrunk failure names them
      --trace         what happened, line by line
      --no-shrink     report a failure as it is found
      --first         name each seed before it is run, end with the first that fails
      --list-faults   every kind of fault
    """

func die(_ message: String) -> Never {
    let text = "varve-simulate: \(message)\n\(usage)\n"
    _ = text.withCString { write(2, $0, strlen($0)) }
    exit(64)
}

struct Invocation {
    var first: UInt64 = 1
    var count: UInt64 = 1
    var minutes: Int?
    var jobs = 1
    var shrinks = true
    var endsAtFirst = false
    var options = Options(seed: 1, events: 20_000)

    init(_ arguments: [String]) {
        var rest = arguments[...]
        func value<T>(_ name: String, _ convert: (String) -> T?) -> T {
            guard let text = rest.popFirst(), let value = convert(text) else { die("\(name) needs a value") }
            return value
        }
        while let argument = rest.popFirst() {
            switch argument {
            case "--seed": first = value(argument) { UInt64($0) }
            case "--seeds": count = value(argument) { UInt64($0) }
            case "--minutes": minutes = value(argument) { Int($0) }
            case "--events": options.events = value(argument) { Int($0) }
            case "--jobs": jobs = max(1, value(argument) { Int($0) })
            case "--trace": options.isTraced = true
            case "--no-shrink": shrinks = false
            case "--first": (endsAtFirst, shrinks) = (true, false)
            case "--without":
                for name in value(argument, { $0 }).split(separator: ",") {
                    guard let fault = Fault(name: name) else { die("\(name) is no kind of fault") }
                    options.without.insert(fault)
                }
            case "--omit":
                for text in value(argument, { $0 }).split(separator: ",") {
                    let parts = text.split(separator: ":")
                    guard parts.count == 2, let fault = Fault(name: parts[0]), let number = Int(parts[1]) else {
                        die("\(text) is no hit of a fault")
                    }
                    options.omitting.insert(Omission(fault, number))
                }
            case "--list-faults":
                for fault in Fault.allCases { print(fault.name) }
                exit(0)
            case "--help", "-h":
                print(usage)
                exit(0)
            default: die("\(argument) is no option")
            }
        }
    }

    func options(_ seed: UInt64) -> Options {
        var options = options
        options.seed = seed
        return options
    }
}
