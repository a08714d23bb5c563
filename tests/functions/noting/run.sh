# Appends the call's id to the file that `notes` names, and answers with the body.
echo "$Http_X_Call_Id" >> "$notes"
cat
