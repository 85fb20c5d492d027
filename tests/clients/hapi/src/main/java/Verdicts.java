import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;

/**
 * What HAPI's validator says of resources. Reads a file of lines `NAME tab JSON`, writes a line `NAME tab SEVERITY tab PATH
 * tab MESSAGE-ID` for each issue of severity error or fatal, in the order of the input, and `NAME tab ok` for a resource
 * without one. HAPI's texts repeat what stands in the resource, so they are not written.
 */
public final class Verdicts {
    /** Each call of the validator reads a large table first, some 20 ms, so that many resources go into one call. */
    private static final int TOGETHER = 100;

    /** Answers that wait to be written at most, so that the corpus need not fit into memory. */
    private static final int WAITING_MAX = 16;

    /** Where a resource stands in the Parameters that they go into together: its number, its type, what follows. */
    private static final Pattern PLACE = Pattern.compile("Parameters\\.parameter\\[(\\d+)]\\.resource/\\*(\\w+)/.*?\\*/(.*)");

    /** A path that goes on in another resource. */
    private static final Pattern FOLLOWED = Pattern.compile("\\.parameter\\[\\d+]\\.resource/\\*");

    private record Named(String name, String resource) {}

    private final FhirValidator validator = validator();

    public static void main(String[] arguments) throws IOException, InterruptedException, ExecutionException {
        Verdicts verdicts = new Verdicts();
        ExecutorService threads = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
        try (BufferedReader lines = Files.newBufferedReader(Path.of(arguments[0]), StandardCharsets.UTF_8);
                PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(arguments[1]), StandardCharsets.UTF_8))) {
            Deque<Future<String>> waiting = new ArrayDeque<>();
            List<Named> next = new ArrayList<>();
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                int tab = line.indexOf('\t');
                next.add(new Named(line.substring(0, tab), line.substring(tab + 1)));
                if (next.size() == TOGETHER) {
                    List<Named> full = next;
                    waiting.add(threads.submit(() -> verdicts.together(full)));
                    next = new ArrayList<>();
                }
                if (waiting.size() >= WAITING_MAX) {
                    out.print(waiting.remove().get());
                }
            }
            while (!waiting.isEmpty()) {
                out.print(waiting.remove().get());
            }
            // Where they are a multiple of a portion, nothing is left; of nothing HAPI finds that it is empty.
            if (!next.isEmpty()) {
                out.print(verdicts.together(next));
            }
        } finally {
            threads.shutdown();
        }
    }

    /** R4 with its own code systems; codes of other systems are not known here and get a warning. */
    private static FhirValidator validator() {
        FhirContext r4 = FhirContext.forR4();
        UnknownCodeSystemWarningValidationSupport unknown = new UnknownCodeSystemWarningValidationSupport(r4);
        unknown.setNonExistentCodeSystemSeverity(
                IValidationSupport.IssueSeverity.WARNING);
        ValidationSupportChain chain = new ValidationSupportChain(
                new DefaultProfileValidationSupport(r4),
                new InMemoryTerminologyServerValidationSupport(r4),
                new CommonCodeSystemsTerminologyService(r4),
                unknown);
        FhirInstanceValidator instance = new FhirInstanceValidator(chain);
        instance.setAnyExtensionsAllowed(true);
        instance.setErrorForUnknownProfiles(false);
        instance.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
        return r4.newValidator().registerValidatorModule(instance);
    }

    /** The answers on all, in their order. */
    private String together(List<Named> all) {
        StringBuilder parameters = new StringBuilder("{\"resourceType\":\"Parameters\",\"parameter\":[");
        for (int at = 0; at < all.size(); at++) {
            String comma = at == 0 ? "" : ",";
            parameters.append(comma).append("{\"name\":\"r\",\"resource\":").append(all.get(at).resource()).append('}');
        }
        List<StringBuilder> answers = all.stream().map(one -> new StringBuilder()).toList();
        for (SingleValidationMessage message : errors(parameters.append("]}").toString())) {
            Matcher place = PLACE.matcher(message.getLocationString() == null ? "" : message.getLocationString());
            // Among them is one that cannot be parsed: it is found by halves.
            if (!place.matches() || message.getSeverity() == ResultSeverityEnum.FATAL) {
                return halves(all);
            }
            // A reference is followed to another of them, which has its own answer.
            if (!place.group(2).equals("Parameters") && FOLLOWED.matcher(place.group(3)).find()) {
                continue;
            }
            int at = Integer.parseInt(place.group(1));
            line(answers.get(at), all.get(at).name(), message, place.group(2) + place.group(3));
        }
        StringBuilder answer = new StringBuilder();
        for (int at = 0; at < all.size(); at++) {
            answer.append(answers.get(at).isEmpty() ? all.get(at).name() + "\tok\n" : answers.get(at));
        }
        return answer.toString();
    }

    private String halves(List<Named> all) {
        if (all.size() > 1) {
            int half = all.size() / 2;
            return together(all.subList(0, half)) + together(all.subList(half, all.size()));
        }
        Named one = all.get(0);
        StringBuilder answer = new StringBuilder();
        for (SingleValidationMessage message : errors(one.resource())) {
            line(answer, one.name(), message, String.valueOf(message.getLocationString()));
        }
        return answer.isEmpty() ? one.name() + "\tok\n" : answer.toString();
    }

    private List<SingleValidationMessage> errors(String resource) {
        try {
            List<SingleValidationMessage> all = validator.validateWithResult(resource).getMessages();
            return all.stream().filter(one -> one.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0).toList();
        } catch (RuntimeException failure) {
            // The validator gives up on what it cannot parse, which is an answer too.
            SingleValidationMessage message = new SingleValidationMessage();
            message.setSeverity(ResultSeverityEnum.FATAL);
            message.setMessageId(failure.getClass().getSimpleName());
            return List.of(message);
        }
    }

    private static void line(StringBuilder answer, String name, SingleValidationMessage message, String path) {
        // Comments in a path are types and ids of inner resources.
        String place = path.replaceAll("/\\*.*?\\*/", "");
        answer.append(name).append('\t').append(message.getSeverity().getCode()).append('\t').append(place);
        // What its parser says has a text alone.
        String what = message.getMessageId() == null ? "parser" : message.getMessageId();
        answer.append('\t').append(what).append('\n');
    }
}
