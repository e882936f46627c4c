{{- /* A number made from a text: the first 24 bits of its SHA-256. */ -}}
{{- define "lifeboat.number" -}}
{{- $n := 0 -}}
{{- range splitList "" (sha256sum . | trunc 6) -}}
{{- $n = add (mul $n 16) (splitList . "0123456789abcdef" | first | len) -}}
{{- end -}}
{{- $n -}}
{{- end -}}

{{- /* A schedule without H: H is a number of the field's range, H/15 is every 15 from such a number on, H(1-4) is one of 1 to 4. Takes
schedule and seed, a text from which the numbers are made. */ -}}
{{- define "lifeboat.schedule" -}}
{{- $fields := splitList " " (regexReplaceAll "\\s+" (trim .schedule) " ") -}}
{{- $out := list -}}
{{- range $i, $field := $fields -}}
{{- $size := ternary 60 24 (eq $i 0) -}}
{{- $n := include "lifeboat.number" (printf "%s %d" $.seed $i) | atoi -}}
{{- if eq $field "H" -}}
{{- $field = mod $n $size | toString -}}
{{- else if hasPrefix "H/" $field -}}
{{- $step := trimPrefix "H/" $field | atoi -}}
{{- $field = printf "%d-%d/%d" (mod $n (min $step $size)) (sub $size 1) $step -}}
{{- else if hasPrefix "H(" $field -}}
{{- $ends := $field | trimPrefix "H(" | trimSuffix ")" | splitList "-" -}}
{{- $from := first $ends | atoi -}}
{{- $to := last $ends | atoi -}}
{{- if gt $from $to -}}
{{- fail (printf "schedule %q: %s goes from a greater number to a smaller one; write the smaller one first" $.schedule $field) -}}
{{- end -}}
{{- $field = add $from (mod $n (add1 (sub $to $from))) | toString -}}
{{- end -}}
{{- $out = append $out $field -}}
{{- end -}}
{{- join " " $out -}}
{{- end -}}

{{- /* A duration such as 1h30m in seconds. */ -}}
{{- define "lifeboat.seconds" -}}
{{- $s := 0 -}}
{{- with regexFind "[0-9]+h" . }}{{ $s = add $s (mul 3600 (trimSuffix "h" . | atoi)) }}{{ end -}}
{{- with regexFind "[0-9]+m" . }}{{ $s = add $s (mul 60 (trimSuffix "m" . | atoi)) }}{{ end -}}
{{- with regexFind "[0-9]+s" . }}{{ $s = add $s (trimSuffix "s" . | atoi) }}{{ end -}}
{{- $s -}}
{{- end -}}
